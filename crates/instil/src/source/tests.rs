//! Files as a user has them, read whole: one for each kind, fault and message.

use std::fs;
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::error::Error;

/// A folder of files that is gone when the test ends.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            let path = folder.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// What a message says, with the folder's own name left out.
    fn told(&self, error: &Error) -> (String, String) {
        let here = format!("{}/", self.0.path().display());
        let clean = |text: &str| text.replace(&here, "");
        (clean(&error.to_string()), clean(error.hint().unwrap_or_default()))
    }
}

fn read_with(inputs: &[String], options: &Options) -> Result<Vec<Item>> {
    Ok(open(resolve(inputs)?, options)?.collect())
}

fn read(input: String) -> Vec<Item> {
    read_with(&[input], &Options::default()).unwrap()
}

/// One file of this name, read.
fn read_bytes(name: &str, bytes: &[u8]) -> Vec<Item> {
    let folder = Folder::new(&[(name, bytes)]);
    read(folder.path(name))
}

fn texts(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.as_ref().unwrap().text.as_str()).collect()
}

/// Reason, row and raw text of each reject.
fn rejects(items: &[Item]) -> Vec<(&str, Option<u64>, &str)> {
    let rejects = items.iter().filter_map(|item| item.as_ref().err());
    rejects.map(|reject| (reject.reason.word(), reject.origin.row, reject.raw.as_str())).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

mod documents;
mod tables;

mod files {
    use super::*;

    #[test]
    fn a_folder_is_read_with_all_below_it_sorted_and_without_hidden_files() {
        let folder = Folder::new(&[
            ("examples/b.txt", b"B."),
            ("examples/a/z.md", b"Z."),
            ("examples/a.txt", b"A."),
            ("examples/.hidden.txt", b"no"),
            ("examples/.git/x.txt", b"no"),
        ]);
        let items = read(folder.path("examples"));
        let names: Vec<_> = items.iter().map(|item| &*item.as_ref().unwrap().origin.source).collect();
        assert_eq!(names, ["examples/a.txt", "examples/a/z.md", "examples/b.txt"]);
        assert_eq!(texts(&items), ["A.", "Z.", "B."]);
        for typed in ["examples/", "./examples", "examples/../examples/.", "exampl[e]s"] {
            assert_eq!(read(folder.path(typed)), items, "{typed}");
        }
    }

    #[test]
    fn inputs_keep_their_order_and_a_file_named_twice_is_read_once() {
        let folder = Folder::new(&[("a.txt", b"A."), ("b.txt", b"B."), ("c.md", b"C.")]);
        let inputs = [folder.path("c.md"), folder.path("*.txt"), folder.path("./a.txt")];
        let items = read_with(&inputs, &Options::default()).unwrap();
        let names: Vec<_> = items.iter().map(|item| &*item.as_ref().unwrap().origin.source).collect();
        assert_eq!(names, ["c.md", "a.txt", "b.txt"]);
    }

    #[test]
    fn files_of_one_name_are_told_apart_by_what_was_typed() {
        let folder = Folder::new(&[("x/a.txt", b"A."), ("y/a.txt", b"B."), ("y/b.txt", b"C.")]);
        let inputs = [folder.path("x/a.txt"), folder.path("y/a.txt"), folder.path("y/b.txt")];
        let names: Vec<_> = resolve(&inputs).unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, [inputs[0].as_str().into(), inputs[1].as_str().into(), Arc::from("b.txt")]);
    }

    #[test]
    fn a_file_tells_its_size_and_time() {
        let folder = Folder::new(&[("a.txt", b"A cat.")]);
        let file = resolve(&[folder.path("a.txt")]).unwrap().remove(0);
        assert_eq!((file.bytes, file.kind, file.packing), (6, Kind::Text, Packing::Plain));
        assert!(file.modified.unwrap() > 1_500_000_000_000_000_000);
    }

    #[test]
    fn an_unknown_kind_is_an_error_by_itself_and_a_reject_in_a_folder() {
        let folder = Folder::new(&[("in/a.png", b"\x89PNG\0\xff"), ("in/LICENSE", b"Do it.")]);
        let (message, hint) = folder.told(&resolve(&[folder.path("in/a.png")]).unwrap_err());
        assert_eq!(message, "`in/a.png` is not a kind of file that can be read");
        assert!(hint.starts_with("known endings are .txt, .md"), "{hint}");
        let items = read(folder.path("in"));
        assert_eq!(items[0].as_ref().unwrap().text, "Do it.");
        let [("unreadable", None, raw)] = rejects(&items)[..] else { panic!("{items:?}") };
        assert!(raw.starts_with("not a kind of file that can be read; known endings are .txt"), "{raw}");
    }

    #[test]
    fn what_is_not_there_is_told_with_the_nearest_that_is() {
        let folder = Folder::new(&[("texts/privacy.md", b"x"), ("empty/.hidden", b"x")]);
        let told = |typed: &str| folder.told(&resolve(&[folder.path(typed)]).unwrap_err());
        assert_eq!(
            told("texts/privcy.md"),
            ("`texts/privcy.md` does not exist".into(), "did you mean `texts/privacy.md`?".into())
        );
        assert_eq!(
            told("text/privacy.md"),
            ("`text/privacy.md` does not exist".into(), "did you mean `texts`?".into())
        );
        let (message, hint) = told("zebra/crossing.txt");
        assert_eq!(message, "`zebra/crossing.txt` does not exist");
        assert_eq!(hint, "name a file, a folder, a pattern such as `texts/*.md`, or `-` for stdin");
        assert_eq!(
            told("empty"),
            ("there is no file in the folder `empty`".into(), "hidden files are not read".into())
        );
        let (message, hint) = told("texts/*.pdf");
        assert_eq!(message, "no file matches `texts/*.pdf`");
        assert_eq!(hint, "`*` stands for part of a name, `**` for any folders");
        assert!(told("a***b").0.ends_with("is not a pattern"));
        assert_eq!(resolve(&[]).unwrap_err().to_string(), "no input was named");
    }

    #[test]
    fn a_hub_id_is_told_to_be_none_yet() {
        let error = resolve(&["BatsResearch/ctga-v1".to_owned()]).unwrap_err();
        let message =
            "there is no `BatsResearch/ctga-v1` here, and data sets of the Hub can't be downloaded yet";
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hint(), Some("download its .parquet or .jsonl files and name them"));
    }

    #[test]
    fn another_encoding_is_told_with_the_way_out() {
        let utf16: Vec<u8> = "\u{feff}hi".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let folder = Folder::new(&[("in/a.txt", &utf16), ("in/b.jsonl.gz", &gzip(&utf16))]);
        let (message, hint) = folder.told(&resolve(&[folder.path("in/a.txt")]).unwrap_err());
        assert_eq!(message, "`in/a.txt` is UTF-16, and only UTF-8 is read");
        assert_eq!(hint, "convert it first: `iconv -f UTF-16 -t UTF-8 IN > OUT`");
        let raw =
            "it is UTF-16, and only UTF-8 is read; convert it first: `iconv -f UTF-16 -t UTF-8 IN > OUT`";
        assert_eq!(rejects(&read(folder.path("in"))), [("unreadable", None, raw); 2]);
    }

    #[test]
    #[cfg(unix)]
    fn a_closed_file_is_an_error_by_itself_and_a_reject_in_a_folder() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new(&[("in/a.txt", b"A."), ("in/b.txt", b"B.")]);
        let closed = folder.path("in/a.txt");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        if fs::File::open(&closed).is_ok() {
            return; // The superuser can open everything.
        }
        let (message, _) = folder.told(&resolve(&[closed]).unwrap_err());
        assert_eq!(message, "can't open `in/a.txt`");
        let items = read(folder.path("in"));
        assert_eq!(items[1].as_ref().unwrap().text, "B.");
        assert_eq!(rejects(&items), [("unreadable", None, "Permission denied (os error 13)")]);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_to_nothing_is_a_reject_and_a_circle_ends() {
        let folder = Folder::new(&[("in/b.txt", b"B.")]);
        std::os::unix::fs::symlink("nowhere", folder.path("in/a.txt")).unwrap();
        std::os::unix::fs::symlink(folder.path("in"), folder.path("in/again")).unwrap();
        let items = read(folder.path("in"));
        assert_eq!(items.iter().filter(|item| item.is_ok()).count(), 1);
        assert_eq!(rejects(&items).len(), 2, "{items:?}");
        assert!(rejects(&items).iter().all(|(reason, ..)| *reason == "unreadable"));
    }

    #[test]
    fn a_stream_is_what_its_bytes_are() {
        let stream = |bytes: &[u8]| -> Vec<Item> {
            let place = Place("stdin".into());
            let raw = Box::new(io::Cursor::new(bytes.to_vec()));
            read_as(place, raw, &Kind::Stream, &Options::default()).unwrap().collect()
        };
        let rows = b"{\"text\": \"A.\"}\n{\"text\": \"B.\"}\n";
        assert_eq!(texts(&stream(rows)), ["A.", "B."]);
        assert_eq!(texts(&stream(&gzip(rows))), ["A.", "B."]);
        assert_eq!(texts(&stream(b"[{\"text\": \"A.\"}]")), ["A."]);
        assert_eq!(texts(&stream(b"Prose.\n")), ["Prose.\n"]);
        let items = stream(b"\x00\x01\xff");
        assert_eq!(rejects(&items)[0].0, "unreadable");
    }
}

mod plain {
    use super::*;

    #[test]
    fn every_byte_after_the_mark_is_kept() {
        for name in ["a.txt", "a.md", "a.markdown", "README"] {
            assert_eq!(texts(&read_bytes(name, b"\xef\xbb\xbf  A\r\n\r\nB \n")), ["  A\r\n\r\nB \n"]);
        }
        assert_eq!(texts(&read_bytes("a.txt.gz", &gzip(b"A."))), ["A."]);
        assert_eq!(texts(&read_bytes("a.txt.zst", &zstd::encode_all(&b"A."[..], 1).unwrap())), ["A."]);
        assert_eq!(texts(&read_bytes("a.txt", &gzip(b"A."))), ["A."], "a wrong ending");
        assert_eq!(texts(&read_bytes("notes.gz", &gzip(b"A."))), ["A."], "half an ending");
    }

    #[test]
    fn a_text_without_text_is_told() {
        assert_eq!(rejects(&read_bytes("a.txt", b"")), [("empty_text", None, "")]);
        assert_eq!(rejects(&read_bytes("a.txt", b" \n\t")), [("empty_text", None, " \n\t")]);
    }

    #[test]
    fn invalid_utf8_is_told_with_its_byte() {
        let items = read_bytes("a.txt", b"one\ntwo \xff three\nfour");
        let raw = "not UTF-8 at byte 8: two \u{fffd} three\nfour";
        assert_eq!(rejects(&items), [("invalid_utf8", None, raw)]);
    }

    #[test]
    fn a_cut_file_is_told() {
        let mut packed = gzip(&b"A sentence. ".repeat(1000));
        packed.truncate(packed.len() / 2);
        let items = read_bytes("a.txt.gz", &packed);
        let [("unreadable", None, raw)] = rejects(&items)[..] else { panic!("{items:?}") };
        assert!(raw.starts_with("the file ends in the middle of its data"), "{raw}");
    }
}

mod json_rows {
    use super::*;

    #[test]
    fn rows_are_lines_whatever_stands_in_their_strings() {
        let json =
            "\u{feff}{\"text\": \"A\u{2028}B\u{85}C\", \"id\": \"x\"}\r\n\n  \n{\"id\": 7, \"text\": \"D\"}";
        let items = read_bytes("a.jsonl", json.as_bytes());
        assert_eq!(texts(&items), ["A\u{2028}B\u{85}C", "D"]);
        let documents: Vec<_> = items.iter().flatten().collect();
        assert_eq!((documents[0].id.as_str(), documents[0].origin.row), ("x", Some(1)));
        assert_eq!((documents[1].id.as_str(), documents[1].origin.row), ("7", Some(4)));
    }

    #[test]
    fn each_fault_has_its_reason_its_line_and_its_text() {
        let mut json = b"nonsense\n[1]\n{\"text\": \"Good.\"}\n{\"text\": \"cut\n{\"other\": 1}\n{\"text\": null}\n\
            {\"text\": 5}\n{\"text\": \" \"}\n{\"text\": \"\xff\"}\n{\"text\": \"\\ud800\"}\n{\"text\": \"Last.\"} x\n"
            .to_vec();
        json.extend_from_slice(b"{\"text\": \"End.\"}");
        let items = read_bytes("a.jsonl", &json);
        let good: Vec<_> = items.iter().flatten().map(|document| document.text.as_str()).collect();
        assert_eq!(good, ["Good.", "End."]);
        assert_eq!(
            rejects(&items),
            [
                ("invalid_json", Some(1), "expected ident at column 2: nonsense"),
                ("invalid_json", Some(2), "it is JSON, but not an object: [1]"),
                ("invalid_json", Some(4), "EOF while parsing a string at column 13: {\"text\": \"cut"),
                ("missing_column", Some(5), "{\"other\": 1}"),
                ("not_text", Some(6), "{\"text\": null}"),
                ("not_text", Some(7), "{\"text\": 5}"),
                ("empty_text", Some(8), "{\"text\": \" \"}"),
                ("invalid_utf8", Some(9), "not UTF-8 at byte 10 of the row: {\"text\": \"\u{fffd}\"}"),
                (
                    "invalid_json",
                    Some(10),
                    "unexpected end of hex escape at column 17: {\"text\": \"\\ud800\"}"
                ),
                ("invalid_json", Some(11), "trailing characters at column 19: {\"text\": \"Last.\"} x"),
            ]
        );
    }

    #[test]
    fn a_wrong_column_is_an_error_before_any_work() {
        let folder = Folder::new(&[
            ("a.txt", b"Prose."),
            ("b.jsonl", b"bad\n{\"text\": \"A.\", \"n\": 1}\n"),
            ("c.jsonl", b"{\"left\": \"A.\", \"right\": \"B.\"}\n"),
        ]);
        let options = Options { text_column: Some("txt".to_owned()), id_column: None };
        let error = read_with(&[folder.path("a.txt"), folder.path("b.jsonl")], &options).unwrap_err();
        assert_eq!(
            folder.told(&error),
            (
                "`b.jsonl` has no column `txt`".into(),
                "did you mean `text`? its columns are `text`, `n`".into()
            )
        );
        let error = read_with(&[folder.path("c.jsonl")], &Options::default()).unwrap_err();
        assert_eq!(error.to_string(), "can't tell which column of `c.jsonl` holds the text");
        let options = Options { text_column: Some("left".to_owned()), id_column: Some("right".to_owned()) };
        let items = read_with(&[folder.path("c.jsonl")], &options).unwrap();
        assert_eq!(items[0].as_ref().unwrap().id, "B.");
        // A later table may be another: its rows are counted.
        let items =
            read_with(&[folder.path("b.jsonl"), folder.path("c.jsonl")], &Options::default()).unwrap();
        assert_eq!(items.len(), 3);
        assert_eq!(rejects(&items)[1].0, "missing_column");
    }

    #[test]
    fn what_was_chosen_can_be_asked_before_and_after() {
        let folder = Folder::new(&[
            ("in/a.txt", b"Prose."),
            ("in/b.jsonl", b"{\"story\": \"A.\"}\n{\"story\": \"B.\"}"),
            ("in/c.json", b"[{\"content\": \"C.\"}]"),
        ]);
        let mut documents = open(resolve(&[folder.path("in")]).unwrap(), &Options::default()).unwrap();
        assert_eq!(documents.text_columns().collect::<Vec<_>>(), [("in/b.jsonl", "story")]);
        assert_eq!(documents.by_ref().count(), 4);
        let all = [("in/b.jsonl", "story"), ("in/c.json", "content")];
        assert_eq!(documents.text_columns().collect::<Vec<_>>(), all);
    }

    #[test]
    fn an_array_of_objects_is_rows_too() {
        let items = read_bytes(
            "a.json",
            b"[{\"text\": \"A.\"},\n {\"text\": 1}, {\"text\": bad}, {\"text\": \"B.\"}]",
        );
        assert_eq!(items[0].as_ref().unwrap().origin.row, Some(1));
        assert_eq!(items[3].as_ref().unwrap().origin.row, Some(4));
        assert_eq!(
            rejects(&items),
            [
                ("not_text", Some(2), "{\"text\": 1}"),
                ("invalid_json", Some(3), "expected value at column 10: {\"text\": bad}")
            ]
        );
        assert_eq!(texts(&read_bytes("a.json", b"{\n \"text\": \"A.\"\n}\n")), ["A."]);
        let items = read_bytes("a.json", b"[{\"text\": \"A.\"}");
        let raw = "the file ends in the middle of its data: the array's closing bracket is missing";
        assert_eq!(rejects(&items), [("unreadable", Some(2), raw)]);
    }

    #[test]
    fn what_was_read_before_a_break_stays() {
        let lines: String =
            (0..20_000).map(|i| format!("{{\"text\": \"Row {}.\"}}\n", i * 7919 % 10_007)).collect();
        let mut packed = gzip(lines.as_bytes());
        packed.truncate(packed.len() / 2);
        let folder = Folder::new(&[("in/a.jsonl.gz", &packed), ("in/b.jsonl", b"{\"text\": \"Next.\"}")]);
        let items = read(folder.path("in"));
        let good = items.iter().filter(|item| item.is_ok()).count();
        assert!(good > 5_000, "{good}");
        let [("unreadable", Some(row), _)] = rejects(&items)[..] else { panic!("{:?}", rejects(&items)) };
        assert_eq!(row, good as u64, "the row after the last good one of this file");
        assert_eq!(items.last().unwrap().as_ref().unwrap().text, "Next.");
    }

    #[test]
    fn a_table_without_rows_is_told() {
        for (name, bytes) in [("a.jsonl", &b""[..]), ("a.jsonl", b"\n\n"), ("a.json", b"[]"), ("a.json", b"")]
        {
            let raw = "there is nothing in it";
            assert_eq!(rejects(&read_bytes(name, bytes)), [("empty_text", None, raw)], "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_strings_read_back(rows in proptest::collection::vec((".*", any::<Option<i64>>()), 1..20)) {
            let mut file = Vec::new();
            for (text, id) in &rows {
                let row = serde_json::json!({"n": [1, {"text": 2}], "id": id, "text": text});
                writeln!(file, "{row}").unwrap();
            }
            let items = read_bytes("a.jsonl", &file);
            prop_assert_eq!(items.len(), rows.len());
            for (index, (item, (text, id))) in items.iter().zip(&rows).enumerate() {
                let row = index as u64 + 1;
                match item {
                    Ok(document) => {
                        prop_assert_eq!(&document.text, text);
                        prop_assert_eq!(document.origin.row, Some(row));
                        let hash = crate::rng::hex_of(&["a.jsonl", &row.to_string()], 16);
                        prop_assert_eq!(&document.id, &id.map_or(hash, |id| id.to_string()));
                    }
                    Err(reject) => {
                        prop_assert_eq!(reject.reason, Reason::EmptyText);
                        prop_assert!(text.trim().is_empty());
                    }
                }
            }
        }
    }
}

/// The library takes paths as they are typed; this is what typing in the folder itself gives.
#[test]
fn a_relative_path_has_a_parent() {
    assert!(Path::new("Cargo.toml").exists(), "tests run in the crate's folder");
    let error = resolve(&["Cargo.tml".to_owned()]).unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `Cargo.toml`?"));
}
