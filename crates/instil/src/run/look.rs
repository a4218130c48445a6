//! A look at a recipe that costs nothing: its files and its first prompts.

use std::sync::Arc;

use super::Plan;
use crate::chunk;
use crate::error::Result;
use crate::pipeline::Window;
use crate::recipe::Generate;
use crate::reject::Reject;
use crate::source::SourceFile;
use crate::task::TaskKind;

/// What a plan would do, as far as the first documents show.
pub struct Look {
    /// The files that would be read.
    pub files: Vec<SourceFile>,
    /// The kinds that would be asked for.
    pub kinds: Vec<TaskKind>,
    /// The first prompts.
    pub prompts: Vec<LookPrompt>,
    /// What could not be read before them.
    pub rejects: Vec<Reject>,
}

/// One of the first prompts.
pub struct LookPrompt {
    /// What it asks for.
    pub kind: TaskKind,
    /// The document's id.
    pub document: Arc<str>,
    /// The prompt as one text.
    pub text: String,
    /// Its tokens, where a tokenizer is named.
    pub tokens: Option<usize>,
}

/// Looks at a recipe: reads as many documents as it takes to show `prompts` prompts. Nothing is written.
///
/// # Errors
/// As [`Plan::of`] and [`Plan::documents`].
pub fn look(recipe: &Generate, own: Option<Window>, prompts: usize) -> Result<Look> {
    let plan = Plan::with_window(recipe, own)?;
    let mut look = Look {
        files: plan.files.clone(),
        kinds: plan.road.kinds.clone(),
        prompts: Vec::new(),
        rejects: Vec::new(),
    };
    for read in recipe.choose(plan.documents(recipe)?) {
        let document = match read {
            Ok(document) => document,
            Err(reject) => {
                look.rejects.push(reject);
                continue;
            }
        };
        for passage in plan.road.chunker.chunk(&document) {
            for kind in &plan.road.kinds {
                if look.prompts.len() == prompts {
                    return Ok(look);
                }
                let text = plan.road.request(0, *kind, &passage).input.text();
                let window = plan.road.window.as_ref();
                let tokens = window.map(|window| chunk::count_tokens(&window.tokenizer, &text));
                look.prompts.push(LookPrompt {
                    kind: *kind,
                    document: Arc::clone(&passage.document),
                    text,
                    tokens,
                });
            }
        }
    }
    Ok(look)
}
