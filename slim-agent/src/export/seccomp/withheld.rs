//! What a seccomp profile that is in use withholds: calls that no rule of it lets through, and that the engine's
//! default profile would.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{engine, written};

/// Actions with which a call is carried out.
const PASSING: [&str; 2] = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"];

/// What a profile lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// What happens to calls without a rule.
    passes_by_default: bool,
    /// Calls with a rule that lets them through, for some arguments at least.
    passed: BTreeSet<String>,
    /// Calls with a rule that does not.
    refused: BTreeSet<String>,
}

impl Withheld {
    /// Reads a profile in the OCI runtime specification's form, or the engine's.
    ///
    /// # Errors
    /// It is not JSON of that form.
    pub fn parse(profile: &str) -> Result<Self> {
        let profile = written::Profile::parse(profile)?;
        let passes = |action: &str| PASSING.contains(&action);
        let (mut passed, mut refused) = (BTreeSet::new(), BTreeSet::new());
        for rule in profile.syscalls.iter().flatten() {
            let calls = if passes(&rule.action) { &mut passed } else { &mut refused };
            // A rule for those who have a capability speaks of calls that others are refused.
            let for_some = rule.includes.as_ref().is_some_and(|includes| includes.caps().next().is_some());
            if !for_some {
                calls.extend(rule.names().cloned());
            }
        }
        Ok(Self { passes_by_default: passes(&profile.default_action), passed, refused })
    }

    /// Whether the profile lets a call through in no case, although the engine's default does: a call that was refused
    /// then was refused by the profile, and another profile may allow it.
    pub fn withholds(&self, call: &str) -> bool {
        let passes = self.passed.contains(call) || self.passes_by_default && !self.refused.contains(call);
        !passes && passes_engine(call)
    }
}

/// Whether the engine's default profile lets a call through.
pub fn passes_engine(call: &str) -> bool {
    call != engine::NEVER && !engine::DENIED.contains(&call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_no_rule_lets_through_is_withheld_unless_the_engine_does_too() {
        let profile = Withheld::parse(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
                {"names": ["read", "chown"], "action": "SCMP_ACT_ALLOW"},
                {"name": "write", "action": "SCMP_ACT_LOG", "args": []},
                {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
                {"names": ["sync"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"names": ["getpid"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}, "excludes": {}}
            ]}"#,
        )
        .unwrap();
        for passed in ["read", "chown", "write", "personality", "getpid"] {
            assert!(!profile.withholds(passed), "{passed}");
        }
        for withheld in ["sync", "kill"] {
            assert!(profile.withholds(withheld), "{withheld}");
        }
        for denied_anyway in ["mount", "bpf", "clone3"] {
            assert!(!profile.withholds(denied_anyway), "{denied_anyway}");
        }
    }

    #[test]
    fn a_profile_may_list_what_it_refuses() {
        let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}]}"#;
        let profile = Withheld::parse(text).unwrap();
        assert!(profile.withholds("chmod") && !profile.withholds("read"));
        assert!(Withheld::parse("/etc/profile.json").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = Withheld::parse(&text);
        }
    }
}
