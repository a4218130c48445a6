//! `run`: a recipe's steps, one after the other.

use instil::recipe::{Recipe, Step};
use instil::{Error, Result};

use crate::args::{RunArgs, TrainHow};
use crate::{exit, output};

pub(crate) fn run(mut args: RunArgs) -> Result<u8> {
    let mut recipe = Recipe::read(&args.recipe)?;
    if let Some(path) = args.output {
        match recipe.step.as_mut_slice() {
            [step] => step.set_output(path),
            steps => {
                return Err(Error::usage(format!(
                    "--output is for one step, and this recipe has {}",
                    steps.len()
                ))
                .with_hint("change `output` in the recipe's steps"));
            }
        }
    }
    let steps = recipe.step.len();
    // Broken off, the chain goes on where it was only if a step knows that its file is whole.
    args.how.of_all.keep_run |= steps > 1;
    let mut worst = exit::DONE;
    for (number, step) in (1..).zip(recipe.step) {
        if step.output().is_empty() {
            return Err(Error::input(format!(
                "step {number} of `{}` names no output",
                args.recipe.display()
            ))
            .with_hint("add `output = \"out\"`"));
        }
        if steps > 1 && !args.how.of_all.quiet {
            output::talk(&format!(
                "step {number} of {steps}: {} {} -> {}",
                step.verb().name(),
                step.input().join(" "),
                step.output()
            ));
        }
        let code = match step {
            Step::Generate(step) => super::generate::execute(*step, &args.how)?,
            Step::FromRows(step) => super::from_rows::execute(*step, &args.how.of_all)?,
            Step::Convert(step) => super::convert::execute(*step, &args.how.of_all)?,
            Step::Train(step) => {
                let how = TrainHow {
                    overwrite: args.how.of_all.overwrite,
                    dry_run: args.how.of_all.dry_run,
                    threads: args.how.of_all.threads,
                    json: args.how.of_all.json,
                    quiet: args.how.of_all.quiet,
                    ..TrainHow::default()
                };
                super::train::execute(*step, &how)?
            }
            Step::Unify(step) => super::unify::execute(*step, &args.how.of_all)?,
            Step::Cook(step) => super::cook::execute(*step, &args.how.of_all)?,
            Step::Mix(step) => super::mix::execute(*step, &args.how.of_all)?,
            Step::Eval(step) => super::eval::execute(*step, &args.how.of_all)?,
            // What stands there is of evaluations before.
            Step::Compare(step) if args.how.of_all.dry_run => {
                output::data(&format!("would compare {}", step.input.join(" ")));
                exit::DONE
            }
            Step::Compare(step) => {
                super::compare::execute(&step, args.how.of_all.overwrite, args.how.of_all.json)?
            }
        };
        worst = worst.max(code);
        // A missed limit doesn't stop the chain; a step that isn't done does.
        if code > exit::LIMIT_MISSED {
            break;
        }
    }
    Ok(worst)
}
