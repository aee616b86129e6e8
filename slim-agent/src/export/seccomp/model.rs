//! The profile as JSON: the OCI runtime specification's form, which Docker, Podman and Kubernetes read as well.

use serde::{Deserialize, Serialize};

/// EPERM of Linux.
pub(super) const EPERM: u32 = 1;
/// ENOSYS of Linux.
pub(super) const ENOSYS: u32 = 38;

/// A whole profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    pub(super) default_action: Action,
    pub(super) default_errno_ret: u32,
    pub(super) architectures: Vec<&'static str>,
    pub(super) syscalls: Vec<Rule>,
}

/// What is done with some calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    pub(super) names: Vec<String>,
    pub(super) action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) args: Vec<Arg>,
    /// For people; runtimes pass over it.
    pub(super) comment: &'static str,
}

/// An action of libseccomp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Action {
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// The call is made, and the kernel's audit log has it.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
}

/// A condition on one of a call's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Arg {
    pub(super) index: u32,
    value: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_two: Option<u64>,
    op: Op,
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Op {
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

impl Arg {
    pub(super) fn new(value: u64, op: Op) -> Self {
        Self { index: 0, value, value_two: None, op }
    }

    /// The same condition, however it is spelled: a second value only counts for bits.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let two = |arg: &Self| if arg.op == Op::MaskedEqual { arg.value_two.unwrap_or_default() } else { 0 };
        (self.index, self.value, self.op, two(self)) == (other.index, other.value, other.op, two(other))
    }

    /// The bits of `mask` have the value `wanted`.
    pub(super) fn masked(mask: u64, wanted: u64) -> Self {
        Self { index: 0, value: mask, value_two: Some(wanted), op: Op::MaskedEqual }
    }
}

impl Rule {
    /// Carries the calls out: `action` says whether silently or with a line in the log.
    pub(super) fn pass(action: Action, names: Vec<String>, comment: &'static str) -> Self {
        Self { names, action, errno_ret: None, args: Vec::new(), comment }
    }

    pub(super) fn deny(names: Vec<String>, errno: u32, comment: &'static str) -> Self {
        Self { names, action: Action::Errno, errno_ret: Some(errno), args: Vec::new(), comment }
    }

    /// Where all of these conditions hold.
    pub(super) fn when(self, args: Vec<Arg>) -> Self {
        Self { args, ..self }
    }
}
