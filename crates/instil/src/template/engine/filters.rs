//! Jinja2's filters, and the three that PromptSource adds.

mod lists;
mod numbers;
mod texts;

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, State, Value};

use super::values::Outcome;
pub(super) use lists::tuples;

/// The filters of Jinja2 that no template of PromptSource's uses and that aren't here.
pub(super) const LACKING: [&str; 4] = ["pprint", "urlize", "wordwrap", "xmlattr"];

/// A filter: what it is applied to comes first.
pub(super) type Filter = fn(&mut State<'_, '_>, &[Value]) -> Outcome;

/// All filters by name.
fn all() -> impl Iterator<Item = (&'static str, Filter)> {
    lists::FILTERS.iter().chain(&numbers::FILTERS).chain(&texts::FILTERS).copied()
}

/// The names of the filters.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|(name, _)| name)
}

/// The filter of this name.
pub(super) fn of(name: &str) -> Option<Filter> {
    all().find(|(known, _)| *known == name).map(|(_, filter)| filter)
}

/// Whether there is a filter of this name.
pub(super) fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// Adds them to an environment.
pub(super) fn add_to(env: &mut Environment<'static>) {
    for (name, filter) in all() {
        env.add_filter(name, move |state: &mut State<'_, '_>, arguments: Rest<ValueOrKwargs>| {
            filter(state, &arguments.into_values())
        });
    }
}
