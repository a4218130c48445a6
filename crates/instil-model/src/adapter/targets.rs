//! Which modules an adapter is for, in peft's three ways of saying it.

use std::collections::BTreeMap;

use instil::{Error, Result};
use regex::Regex;

/// `target_modules` of an `adapter_config.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetModules {
    /// Modules of these names, or whose names end with one of them after a dot.
    Names(Vec<String>),
    /// Modules whose whole names this regular expression matches.
    Pattern(String),
    /// Every linear layer but the head.
    AllLinear,
}

/// peft's word for [`TargetModules::AllLinear`].
pub(super) const ALL_LINEAR: &str = "all-linear";

impl TargetModules {
    /// `all-linear`, names between commas, or a regular expression: what holds anything but letters, digits, `_`, `.`, `-`
    /// and commas is one.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.eq_ignore_ascii_case(ALL_LINEAR) {
            return Self::AllLinear;
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-, ".contains(c);
        if text.chars().all(plain) {
            let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            return Self::Names(names.map(str::to_owned).collect());
        }
        Self::Pattern(text.to_owned())
    }

    /// Whether a linear layer of this name is meant (peft's `check_target_module_exists`). `is_head` says that it makes the
    /// logits.
    ///
    /// # Errors
    /// When the pattern is no regular expression.
    pub fn matches(&self, module: &str, is_head: bool) -> Result<bool> {
        Ok(match self {
            Self::Names(names) => names.iter().any(|name| is_or_ends(module, name)),
            Self::Pattern(pattern) => expression(&format!("^(?:{pattern})$"), pattern)?.is_match(module),
            Self::AllLinear => !is_head,
        })
    }
}

fn is_or_ends(module: &str, name: &str) -> bool {
    module == name || module.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

/// The value of the first pattern that a module's name, or an end of it after a dot, matches (peft's `get_pattern_key`).
pub(super) fn pattern<'a, V>(patterns: &'a BTreeMap<String, V>, module: &str) -> Result<Option<&'a V>> {
    for (pattern, value) in patterns {
        if is_or_ends(module, pattern)
            || expression(&format!(r"^(?:.*\.)?(?:{pattern})$"), pattern)?.is_match(module)
        {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn expression(whole: &str, pattern: &str) -> Result<Regex> {
    Regex::new(whole).map_err(|error| {
        Error::input(format!("the adapter's pattern `{pattern}` isn't understood"))
            .because(error)
            .with_hint("name the modules in a list instead: [\"q_proj\", \"v_proj\"]")
    })
}
