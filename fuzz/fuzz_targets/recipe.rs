//! Recipes: read, written and read again, they are equal.
#![no_main]

use instil::recipe::Recipe;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(recipe) = Recipe::parse(text) {
        let again = Recipe::parse(&recipe.to_toml()).expect("what was written is read");
        // Not compared by ==, since a recipe may say `temperature = nan`.
        assert_eq!(recipe.to_toml(), again.to_toml());
    }
});
