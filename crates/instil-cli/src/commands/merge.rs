//! `merge`: an adapter into the weights of its base.

use std::ops::ControlFlow;

use indicatif::DecimalBytes;
use instil::error::nearest;
use instil::{Error, Result};
use instil_model::adapter::Adapter;
use instil_model::weights::{Checkpoint, Layout, Merge, Merged, Options, Quantize, WriteAs};
use instil_remote::hub::Transfer;
use serde_json::json;

use crate::args::{MergeArgs, ModelFormat};
use crate::progress::{Progress, catch_interrupts};
use crate::tables::plural;
use crate::{exit, output, settings};

pub(crate) fn run(args: MergeArgs) -> Result<u8> {
    let layout = layout(&args)?;
    let dtype = args.dtype.as_deref().map(dtype).transpose()?;
    let how = Merge { layout, dtype, overwrite: args.overwrite, ..Merge::default() };
    catch_interrupts()?;
    let mut progress = Progress::start(args.quiet);
    let merged = merge(&args, how, &mut progress);
    progress.finish();
    let Some(merged) = merged? else {
        output::talk("interrupted; nothing is written");
        return Ok(exit::INTERRUPTED);
    };
    if !args.quiet {
        merged.notes.iter().for_each(|note| output::talk(note));
        output::talk(&format!(
            "`{}`: {} in {}, of which the adapter changed {}",
            args.output.display(),
            plural(merged.tensors, "tensor"),
            DecimalBytes(merged.bytes),
            merged.changed
        ));
    }
    if args.json {
        let object = json!({
            "output": args.output,
            "tensors": merged.tensors,
            "changed": merged.changed,
            "bytes": merged.bytes,
        });
        output::data(&object.to_string());
    }
    Ok(exit::DONE)
}

/// Merges; none if Ctrl-C came.
fn merge(args: &MergeArgs, how: Merge, progress: &mut Progress) -> Result<Option<Merged>> {
    let watch: &mut dyn FnMut(&Transfer) -> ControlFlow<()> =
        &mut |transfer| progress.watch_transfer(transfer);
    let Some(base) = settings::resolved(&args.model, watch)? else { return Ok(None) };
    let Some(folder) = settings::resolved_adapter(&args.adapter, watch)? else { return Ok(None) };
    let adapter = Adapter::read(&folder)?;
    let options = Options { quantize: Quantize::None, ..Options::default() };
    let checkpoint = Checkpoint::open_with(&base, &options)?;
    how.write(&checkpoint, adapter, &args.output, &mut |done, all| progress.watch_bytes(done, all))
}

fn layout(args: &MergeArgs) -> Result<Layout> {
    let is_file = args.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
    match args.format {
        Some(ModelFormat::Gguf) if !is_file => {
            Err(Error::usage(format!("`{}` is no name of a GGUF file", args.output.display()))
                .with_hint("let it end with .gguf"))
        }
        Some(ModelFormat::Safetensors) if is_file => {
            Err(Error::usage(format!("`{}` is the name of a GGUF file", args.output.display()))
                .with_hint("name a folder, or leave --format out"))
        }
        _ if is_file => Ok(Layout::Gguf),
        _ => Ok(Layout::Safetensors),
    }
}

fn dtype(text: &str) -> Result<WriteAs> {
    let names = WriteAs::ALL.map(|(name, _)| name);
    WriteAs::ALL.iter().find(|(name, _)| *name == text).map(|(_, dtype)| *dtype).ok_or_else(|| {
        Error::usage(format!("`{text}` is no type that matrices are written in")).with_hint(
            match nearest(text, names) {
                Some(near) => format!("did you mean `{near}`? There are {}", names.join(", ")),
                None => format!("there are {}", names.join(", ")),
            },
        )
    })
}
