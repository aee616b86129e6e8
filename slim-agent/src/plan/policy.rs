//! What the user decides of a plan.

use super::pattern::Pattern;
use super::rules::RuleSet;

/// What the user decides. Where two decisions meet: what is excluded is not kept, whoever asks for it; what is included
/// is kept whether or not it was seen; all else is decided by the recordings and the rules.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether what `docker exec` used is kept.
    pub include_exec: bool,
    /// What is kept in any case.
    pub include: Vec<Pattern>,
    /// Packages whose files are kept in any case: `NAME`, or `KIND:NAME`.
    pub include_packages: Vec<String>,
    /// What is not kept in any case.
    pub exclude: Vec<Pattern>,
    /// The rules that are on.
    pub rules: RuleSet,
    /// Whether the new image says which packages are in it.
    pub package_metadata: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            include_exec: false,
            include: Vec::new(),
            include_packages: Vec::new(),
            exclude: Vec::new(),
            rules: RuleSet::default(),
            package_metadata: true,
        }
    }
}
