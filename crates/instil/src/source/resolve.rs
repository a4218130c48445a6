//! What the user typed to the files that are read.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use walkdir::WalkDir;

use super::SourceFile;
use super::bytes::{HEAD_BYTES, Packing};
use super::kind::{ENDINGS, Kind, encoding_hint, other_encoding, settle};
use super::memory;
use crate::error::{Error, Result, nearest};

/// The files that `inputs` name: folders with all below them, globs, files, and `-` for stdin.
///
/// Inputs keep their order, and the files of a folder or glob are sorted by name. Below a folder
/// hidden files are skipped. A file that is named twice is read once. Names are free of what the
/// user typed before the last part of an input, except where that leaves two files with one name.
///
/// # Errors
/// When an input does not exist, can't be opened, holds no file, or is a file of an unknown kind. A
/// file inside a folder of which one of these is true is kept and becomes a reject when it is read.
pub fn resolve(inputs: &[String]) -> Result<Vec<SourceFile>> {
    resolve_all(inputs, Wanted::Texts)
}

/// The files of rows that `inputs` name: as [`resolve`], but a folder is taken for a dataset. Of one that instil
/// has written the rows alone are read; of another one, cards, licences, scripts and what `datasets` keeps
/// beside its files are passed over.
///
/// # Errors
/// As [`resolve`], and for a folder of Arrow files, as `save_to_disk` writes them.
pub fn resolve_rows(inputs: &[String]) -> Result<Vec<SourceFile>> {
    resolve_all(inputs, Wanted::Rows)
}

/// What the files are read for.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Texts,
    Rows,
}

fn resolve_all(inputs: &[String], wanted: Wanted) -> Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    for input in inputs {
        if input == "-" {
            found.push(Found::stdin());
            continue;
        }
        if let Some(file) = memory::resolve(input)? {
            found.push(Found { file, typed: input.clone() });
            continue;
        }
        let path = Path::new(input);
        if path.exists() {
            resolve_path(path, wanted, &mut found)?;
        } else if input.contains(['*', '?', '[']) {
            resolve_glob(input, wanted, &mut found)?;
        } else {
            return Err(not_found(input));
        }
    }
    if found.is_empty() {
        return Err(Error::input("no input was named").with_hint("name a file, a folder, or `-` for stdin"));
    }
    Ok(name_apart(found))
}

/// A file and the two names that it may go by.
struct Found {
    file: SourceFile,
    /// The path as typed, with `/` between its parts.
    typed: String,
}

impl Found {
    fn stdin() -> Self {
        let file = SourceFile {
            name: "stdin".into(),
            path: PathBuf::from("-"),
            kind: Kind::Stream,
            packing: Packing::Plain,
            bytes: 0,
            modified: None,
            in_folder: false,
        };
        Self { file, typed: "-".to_owned() }
    }

    fn new(name: String, path: PathBuf, kind: Kind, packing: Packing, about: Option<&Metadata>) -> Self {
        let modified = about
            .and_then(|about| about.modified().ok())
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_nanos()).ok());
        let typed = with_slashes(&path);
        let bytes = about.map_or(0, Metadata::len);
        let file = SourceFile { name: name.into(), path, kind, packing, bytes, modified, in_folder: false };
        Self { file, typed }
    }
}

fn resolve_path(path: &Path, wanted: Wanted, found: &mut Vec<Found>) -> Result<()> {
    let name = last_part(path);
    let about = fs::metadata(path).map_err(|error| cant_open(path).because(error))?;
    if about.is_dir() {
        return match wanted {
            Wanted::Texts => resolve_folder(path, &name, wanted, found),
            Wanted::Rows => resolve_dataset(path, &name, found),
        };
    }
    if !about.is_file() {
        // A pipe can be read only once, so it is looked at when it is.
        let kind = Kind::of_name(&name).unwrap_or(Kind::Stream);
        found.push(Found::new(name, path.to_owned(), kind, Packing::Plain, None));
        return Ok(());
    }
    let head = read_head(path).map_err(|error| cant_open(path).because(error))?;
    let (kind, packing) = settle(&name, &head);
    let typed = path.display();
    if let Some(encoding) = other_encoding(&head)
        && kind.as_ref().is_none_or(Kind::is_characters)
    {
        return Err(Error::input(format!("`{typed}` is {encoding}, and only UTF-8 is read"))
            .with_hint(encoding_hint(encoding)));
    }
    let kind = kind.ok_or_else(|| {
        Error::input(format!("`{typed}` is not a kind of file that can be read"))
            .with_hint(format!("known endings are {ENDINGS}"))
    })?;
    found.push(Found::new(name, path.to_owned(), kind, packing, Some(&about)));
    Ok(())
}

/// A folder of rows. What instil has written lies in `data/`, with what is told of the rows beside it.
fn resolve_dataset(folder: &Path, name: &str, found: &mut Vec<Found>) -> Result<()> {
    let shown = folder.display();
    let data = folder.join("data");
    let is_ours = is_output(folder) || folder.join("provenance").is_dir() && data.is_dir();
    if is_ours {
        if !data.is_dir() {
            return Err(Error::input(format!("there are no rows in `{shown}`"))
                .because("its run has not finished")
                .with_hint(format!("`instil run {shown}/run/recipe.toml` continues it")));
        }
        return resolve_folder(&data, &format!("{name}/data"), Wanted::Rows, found);
    }
    if ["state.json", "dataset_dict.json"].iter().any(|file| folder.join(file).exists()) {
        return Err(Error::input(format!("`{shown}` holds Arrow files, as `save_to_disk` writes them"))
            .with_hint("`load_from_disk(…).to_parquet(…)` or `.to_json(…)` makes files that are read"));
    }
    resolve_folder(folder, name, Wanted::Rows, found)
}

/// Whether a file of a dataset's folder speaks of it and holds no rows.
fn is_about(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let stem = lower.split('.').next().unwrap_or_default();
    ["license", "licence", "citation"].contains(&stem)
        || ["dataset_info.json", "dataset_infos.json", "config.json"].contains(&&*lower)
        || [".md", ".yaml", ".yml", ".py"].iter().any(|ending| lower.ends_with(ending))
}

fn resolve_folder(folder: &Path, name: &str, wanted: Wanted, found: &mut Vec<Found>) -> Result<()> {
    let is_hidden = |entry: &walkdir::DirEntry| {
        entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    let mut inside = Vec::new();
    let mut walk =
        WalkDir::new(folder).follow_links(true).into_iter().filter_entry(|entry| !is_hidden(entry));
    while let Some(entry) = walk.next() {
        match entry {
            // Cards, ids and prompts are no source texts.
            Ok(entry) if entry.file_type().is_dir() && is_output(entry.path()) => {
                if entry.depth() == 0 {
                    return Err(Error::input(format!(
                        "`{}` is what instil made of other texts",
                        folder.display()
                    ))
                    .with_hint(
                        "to read rows of it, name the files: `FOLDER/data/*.parquet` and --text-column",
                    ));
                }
                let kind =
                    Kind::Unreadable("what instil made of other texts; name its files to read them".into());
                let name = below(folder, name, entry.path());
                inside.push(Found::new(name, entry.into_path(), kind, Packing::Plain, None));
                walk.skip_current_dir();
            }
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) if wanted == Wanted::Rows && is_about(&entry.file_name().to_string_lossy()) => {}
            Ok(entry) => inside.push(look_inside(folder, name, entry.into_path())),
            Err(error) if error.depth() == 0 => return Err(cant_open(folder).because(error)),
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                let kind = Kind::Unreadable(error.to_string().into());
                let name = below(folder, name, &path);
                inside.push(Found::new(name, path, kind, Packing::Plain, None));
            }
        }
    }
    if inside.is_empty() {
        return Err(Error::input(format!("there is no file in the folder `{}`", folder.display()))
            .with_hint("hidden files are not read"));
    }
    for found in &mut inside {
        found.file.in_folder = true;
    }
    inside.sort_by(|a, b| a.file.name.cmp(&b.file.name));
    found.append(&mut inside);
    Ok(())
}

/// Whether a folder is a dataset of instil's, or the run folder beside a file of rows.
fn is_output(folder: &Path) -> bool {
    folder.join("run/recipe.toml").exists()
        || folder.extension().is_some_and(|ending| ending == "run") && folder.join("recipe.toml").exists()
}

fn look_inside(folder: &Path, name: &str, path: PathBuf) -> Found {
    let name = below(folder, name, &path);
    let about = fs::metadata(&path).ok();
    if about.as_ref().is_some_and(|about| !about.is_file()) {
        let kind = Kind::Unreadable("neither a file nor a folder".into());
        return Found::new(name, path, kind, Packing::Plain, None);
    }
    let (kind, packing) = match read_head(&path) {
        Ok(head) => settle(&name, &head),
        Err(error) => (Some(Kind::Unreadable(error.to_string().into())), Packing::Plain),
    };
    let kind = kind.unwrap_or_else(|| {
        let why = format!("not a kind of file that can be read; known endings are {ENDINGS}");
        Kind::Unreadable(why.into())
    });
    Found::new(name, path, kind, packing, about.as_ref())
}

fn resolve_glob(pattern: &str, wanted: Wanted, found: &mut Vec<Found>) -> Result<()> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths = glob::glob_with(pattern, options)
        .map_err(|error| Error::input(format!("`{pattern}` is not a pattern")).because(error))?;
    let mut matched = false;
    for path in paths {
        let path = path.map_err(|error| cant_open(error.path()).because(error.to_string()))?;
        matched = true;
        resolve_path(&path, wanted, found)?;
    }
    if matched {
        return Ok(());
    }
    Err(Error::input(format!("no file matches `{pattern}`"))
        .with_hint("`*` stands for part of a name, `**` for any folders"))
}

/// Leaves out what was found before, and gives the typed path to files that share a name.
fn name_apart(found: Vec<Found>) -> Vec<SourceFile> {
    let mut seen = HashSet::new();
    let found: Vec<_> = found
        .into_iter()
        .filter(|found| {
            let path = &found.file.path;
            seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone()))
        })
        .collect();
    let mut named = HashMap::<Arc<str>, u32>::new();
    for found in &found {
        *named.entry(Arc::clone(&found.file.name)).or_default() += 1;
    }
    found
        .into_iter()
        .map(|Found { mut file, typed }| {
            if named[&file.name] > 1 {
                file.name = typed.into();
            }
            file
        })
        .collect()
}

fn not_found(input: &str) -> Error {
    let path = Path::new(input);
    let mut parts = input.split('/');
    let (owner, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let may_be_hub_id = !rest.is_empty()
        && parts.next().is_none()
        && !owner.is_empty()
        && owner.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !owner.starts_with('.')
        && !Path::new(owner).exists();
    if may_be_hub_id && Kind::of_name(rest).is_none() {
        return Error::input(format!(
            "there is no `{input}` here, and data sets of the Hub can't be downloaded yet"
        ))
        .with_hint("download its .parquet or .jsonl files and name them");
    }
    let error = Error::input(format!("`{input}` does not exist"));
    match nearest_path(path) {
        Some(near) => error.with_hint(format!("did you mean `{}`?", near.display())),
        None => error.with_hint("name a file, a folder, a pattern such as `texts/*.md`, or `-` for stdin"),
    }
}

/// The path that is nearest to a missing one: its first missing part replaced by one that is there.
fn nearest_path(missing: &Path) -> Option<PathBuf> {
    let part = missing.ancestors().find(|path| parent_of(path).is_dir())?;
    let typed = part.file_name()?.to_str()?;
    let entries = fs::read_dir(parent_of(part)).ok()?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    nearest(typed, names.iter().map(String::as_str)).map(|name| part.with_file_name(name))
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn cant_open(path: &Path) -> Error {
    Error::input(format!("can't open `{}`", path.display()))
}

fn read_head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The last part of a path, found out where the path ends in `.` or `..`.
fn last_part(path: &Path) -> String {
    let name = match path.file_name() {
        Some(name) => Some(name.to_owned()),
        None => path.canonicalize().ok().and_then(|path| path.file_name().map(ToOwned::to_owned)),
    };
    name.map_or_else(|| "root".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn below(folder: &Path, name: &str, path: &Path) -> String {
    let rest = with_slashes(path.strip_prefix(folder).unwrap_or(path));
    if rest.is_empty() { name.to_owned() } else { format!("{name}/{rest}") }
}

fn with_slashes(path: &Path) -> String {
    let parts: Vec<_> = path
        .components()
        .map(|part| match part {
            Component::RootDir => "".into(),
            part => part.as_os_str().to_string_lossy(),
        })
        .collect();
    parts.join("/")
}
