use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::format::tests::example;
use crate::record::Origin;
use crate::reject::Reason;
use crate::task::TaskKind;

fn examples(count: u64) -> Vec<Example> {
    let text = |n: u64| format!("Heron {n} stood in the reeds.");
    (0..count)
        .map(|n| example(n, &text(n), &format!("{}\n\nWho stood?", text(n)), &format!("Heron {n}")))
        .collect()
}

fn rejects() -> Vec<Reject> {
    let origin = Origin { source: "notes.txt".into(), row: None };
    let mut of_parse = Reject::read(Reason::NoPipe, origin.clone(), "Who stood? Heron");
    of_parse.document = Some("doc".into());
    of_parse.span = Some(3..9);
    of_parse.task = Some(TaskKind::Nli.into());
    of_parse.sample = Some(2);
    vec![Reject::read(Reason::InvalidUtf8, origin, "\u{fffd}"), of_parse]
}

fn card() -> Card {
    Card {
        name: "herons".to_owned(),
        license: Some("cc-by-4.0".to_owned()),
        made: Made::FromText {
            model: "rules".to_owned(),
            is_rules: true,
            template: "bonito".to_owned(),
            documents: 1,
            passages: 5,
        },
        kinds: [(TaskKind::Exqa, 3), (TaskKind::Nli, 2), (TaskKind::Summarization, 0)]
            .map(|(kind, kept)| (kind.into(), kept))
            .to_vec(),
        rejects: vec![(Reason::InvalidUtf8, 1), (Reason::NoPipe, 1), (Reason::TooLong, 0)],
    }
}

fn writer(output: &Path, format: Format, shard_rows: usize) -> Writer {
    let layout = Layout::of(output).unwrap();
    Writer::create(&layout, format, Sampling::default(), shard_rows, &["train"]).unwrap()
}

/// Writes examples to the splits that `split` names for their numbers.
fn write_splits(
    output: &Path,
    splits: &[&str],
    shard_rows: usize,
    examples: &[Example],
    split: impl Fn(usize) -> usize,
) -> Finished {
    split_writer(output, splits, shard_rows, examples, split).finish(&card()).unwrap()
}

fn split_writer(
    output: &Path,
    splits: &[&str],
    shard_rows: usize,
    examples: &[Example],
    split: impl Fn(usize) -> usize,
) -> Writer {
    let layout = Layout::of(output).unwrap();
    let mut writer =
        Writer::create(&layout, Format::Messages, Sampling::default(), shard_rows, splits).unwrap();
    for (number, example) in examples.iter().enumerate() {
        writer.example(example, split(number)).unwrap();
    }
    writer
}

fn fill(mut writer: Writer, examples: &[Example]) -> Writer {
    examples.iter().for_each(|example| writer.example(example, 0).unwrap());
    rejects().iter().for_each(|reject| writer.reject(reject).unwrap());
    writer
}

fn write(output: &Path, format: Format, shard_rows: usize, examples: &[Example]) -> Finished {
    fill(writer(output, format, shard_rows), examples).finish(&card()).unwrap()
}

/// Every file below a folder with its bytes, by its path from there; folders end in `/`.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = walkdir::WalkDir::new(folder).min_depth(1).into_iter().map(Result::unwrap);
    let name = |path: &Path| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    entries
        .map(|entry| match entry.file_type().is_dir() {
            true => (name(entry.path()) + "/", Vec::new()),
            false => (name(entry.path()), fs::read(entry.path()).unwrap()),
        })
        .collect()
}

fn names(folder: &Path) -> String {
    tree(folder).into_keys().collect::<Vec<_>>().join("\n")
}

fn batches(file: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

fn texts(file: &Path, column: &str) -> Vec<String> {
    let of = |batch: &RecordBatch| -> Vec<String> {
        let column = batch.column_by_name(column).unwrap().as_string::<i32>();
        column.iter().map(|text| text.unwrap().to_owned()).collect()
    };
    batches(file).iter().flat_map(of).collect()
}

fn metadata(file: &Path) -> parquet::file::metadata::ParquetMetaData {
    SerializedFileReader::new(fs::File::open(file).unwrap()).unwrap().metadata().clone()
}

/// A Parquet file's columns and what its metadata says, for people.
fn describe(file: &Path) -> String {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap();
    let fields = reader.schema().fields().iter().map(|field| field.to_string()).collect::<Vec<_>>();
    let metadata = metadata(file);
    let keys = metadata.file_metadata().key_value_metadata().unwrap();
    let feature = keys.iter().find(|entry| entry.key == "huggingface").unwrap();
    format!("{}\n{}", fields.join("\n"), feature.value.as_ref().unwrap())
}

#[test]
fn a_dataset_folder() {
    let folder = TempDir::new().unwrap();
    let finished = write(folder.path(), Format::Messages, 3, &examples(5));
    assert_eq!((finished.rows, finished.rejects, finished.files.len()), (5, 2, 2));
    assert_eq!(
        finished.bytes(),
        finished.files.iter().map(|file| file.path.metadata().unwrap().len()).sum::<u64>()
    );
    insta::assert_snapshot!(names(folder.path()), @r"
    README.md
    data/
    data/train-00000-of-00002.parquet
    data/train-00001-of-00002.parquet
    provenance/
    provenance/train-00000-of-00002.parquet
    provenance/train-00001-of-00002.parquet
    run/
    run/rejects.parquet
    ");
    let card = fs::read_to_string(folder.path().join("README.md")).unwrap();
    insta::with_settings!({filters => vec![(r"download_size: \d+", "download_size: [bytes]")]}, {
        insta::assert_snapshot!("card", card);
    });
    let first = |name: &str| folder.path().join(name).join("train-00000-of-00002.parquet");
    let schemas = [first("data"), first("provenance"), folder.path().join("run/rejects.parquet")];
    insta::assert_snapshot!("schemas", schemas.map(|file| describe(&file)).join("\n\n"));
}

#[test]
fn shards_have_one_schema_and_go_in_step_with_their_provenance() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), Format::Alpaca, 2, &examples(4));
    let layout = Layout::of(folder.path()).unwrap();
    let (data, provenance) = (layout.data_files().unwrap(), layout.provenance_files().unwrap());
    assert_eq!((data.len(), provenance.len()), (2, 2));
    for (data, provenance) in data.iter().zip(&provenance) {
        assert_eq!(texts(data, "id"), texts(provenance, "id"));
    }
    assert_eq!(describe(&data[0]), describe(&data[1]));
    assert_eq!(texts(&data[1], "input"), ["Heron 2 stood in the reeds.", "Heron 3 stood in the reeds."]);
    assert_eq!(texts(&data[1], "instruction"), ["Who stood?", "Who stood?"]);
}

#[test]
fn an_empty_dataset_has_its_columns() {
    let (empty, full) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for format in Format::ALL {
        let layout = Layout::of(empty.path()).unwrap();
        writer(empty.path(), format, 10).finish(&Card::default()).unwrap();
        write(full.path(), format, 10, &examples(3));
        for name in ["data", "provenance"] {
            let file = |folder: &TempDir| folder.path().join(name).join("train-00000-of-00001.parquet");
            assert_eq!(describe(&file(&empty)), describe(&file(&full)));
            assert_eq!(metadata(&file(&empty)).file_metadata().num_rows(), 0);
        }
        assert_eq!(metadata(&layout.rejects()).file_metadata().num_rows(), 0);
        assert!(
            fs::read_to_string(empty.path().join("README.md")).unwrap().contains("Nothing was rejected.")
        );
    }
}

#[test]
fn a_dataset_of_several_splits() {
    let folder = TempDir::new().unwrap();
    // Every third example is for validation; nothing is for the test.
    let splits = ["train", "validation", "test"];
    let finished =
        write_splits(folder.path(), &splits, 3, &examples(11), |number| usize::from(number % 3 == 2));
    assert_eq!((finished.rows, finished.files.len()), (11, 5));
    insta::assert_snapshot!(names(folder.path()), @r"
    README.md
    data/
    data/test-00000-of-00001.parquet
    data/train-00000-of-00003.parquet
    data/train-00001-of-00003.parquet
    data/train-00002-of-00003.parquet
    data/validation-00000-of-00001.parquet
    provenance/
    provenance/test-00000-of-00001.parquet
    provenance/train-00000-of-00003.parquet
    provenance/train-00001-of-00003.parquet
    provenance/train-00002-of-00003.parquet
    provenance/validation-00000-of-00001.parquet
    run/
    run/rejects.parquet
    ");
    let layout = Layout::of(folder.path()).unwrap();
    let (data, provenance) = (layout.data_files().unwrap(), layout.provenance_files().unwrap());
    let mut rows = BTreeMap::new();
    for (data, provenance) in data.iter().zip(&provenance) {
        assert_eq!(data.file_name(), provenance.file_name());
        assert_eq!(texts(data, "id"), texts(provenance, "id"));
        assert_eq!(describe(data), describe(&finished.files[0].path));
        let split = split_of(data).unwrap().to_owned();
        rows.entry(split).or_insert_with(Vec::new).extend(texts(data, "id"));
    }
    assert!(layout.is_whole(&splits, true).unwrap() && layout.is_whole(&["train"], true).unwrap());
    assert!(!layout.is_whole(&["train", "dev"], true).unwrap());
    let ids: Vec<_> = examples(11).into_iter().map(|example| example.id).collect();
    assert_eq!(rows["validation"], [2, 5, 8].map(|n: usize| ids[n].clone()));
    assert_eq!(rows["train"].len(), 8);
    assert_eq!(rows["test"], [""; 0]);
    let card = fs::read_to_string(folder.path().join("README.md")).unwrap();
    insta::with_settings!({filters => vec![(r"download_size: \d+", "download_size: [bytes]")]}, {
        insta::assert_snapshot!("card_of_several_splits", card);
    });
    // A shard in the middle, the only one of a split, provenance.
    for name in ["data/train-00001-of-00003", "data/test-00000-of-00001", "provenance/train-00002-of-00003"] {
        write_splits(folder.path(), &splits, 3, &examples(11), |number| usize::from(number % 3 == 2));
        assert!(layout.is_whole(&splits, true).unwrap());
        fs::remove_file(folder.path().join(name).with_extension("parquet")).unwrap();
        assert!(!layout.is_whole(&splits, true).unwrap(), "{name}");
    }
}

/// The rows of a table as one batch.
fn whole(schema: &arrow_schema::SchemaRef, batches: &[RecordBatch]) -> RecordBatch {
    let bare = std::sync::Arc::new(arrow_schema::Schema::new(schema.fields().clone()));
    let bare_of = |batch: &RecordBatch| {
        RecordBatch::try_new(std::sync::Arc::clone(&bare), batch.columns().to_vec()).unwrap()
    };
    let batches: Vec<RecordBatch> = batches.iter().map(bare_of).collect();
    arrow_select::concat::concat_batches(&bare, &batches).unwrap()
}

#[test]
fn rows_in_memory_are_those_of_the_folder() {
    let folder = TempDir::new().unwrap();
    let (on_disk, output) = (folder.path().join("on_disk"), folder.path().join("in_memory"));
    let splits = ["train", "validation", "test"];
    // `train` has two of three rows: more than a part and than a batch of what is kept.
    let examples = examples(110_000);
    let by_thirds = |number| usize::from(number % 3 == 2);
    write_splits(&on_disk, &splits, 10_000, &examples, by_thirds);
    let kept = Kept::new(&output);
    let finished = write_splits(&output, &splits, 10_000, &examples, by_thirds);
    assert_eq!((finished.rows, finished.files.len()), (110_000, 0));
    let came = kept.take().unwrap();
    assert_eq!(came.splits().collect::<Vec<_>>(), splits);
    for split in splits {
        let shards: Vec<PathBuf> = Layout::of(&on_disk)
            .unwrap()
            .data_files()
            .unwrap()
            .into_iter()
            .filter(|file| split_of(file) == Some(split))
            .collect();
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&shards[0]).unwrap()).unwrap();
        let table = came.table(split).unwrap();
        assert_eq!(table.schema(), reader.schema(), "the features of `datasets` among it");
        let read: Vec<RecordBatch> = shards.iter().flat_map(|shard| batches(shard)).collect();
        assert_eq!(whole(table.schema(), table.batches()), whole(reader.schema(), &read), "{split}");
        let rows: usize = table.batches().iter().map(RecordBatch::num_rows).sum();
        assert_eq!(
            table.batches().len().max(1),
            rows.div_ceil(65_536).max(1),
            "small batches are put together"
        );
    }
    assert!(came.provenance().is_none(), "it is in files");
    // All else is the folder's.
    let (mut files, of_memory) = (tree(&on_disk), tree(&output));
    files.retain(|name, _| !name.starts_with("data/") && name != "README.md");
    assert_eq!(files.keys().collect::<Vec<_>>(), of_memory.keys().collect::<Vec<_>>());
    assert!(files.iter().all(|(name, bytes)| of_memory[name] == *bytes));
    assert!(!Layout::of(&output).unwrap().is_in_memory(), "its rows were taken");
}

#[test]
fn rows_that_were_not_kept_are_not_there() {
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("rows");
    let kept = Kept::new(&output);
    drop(fill(writer(&output, Format::Messages, 10), &examples(3)));
    assert_eq!(kept.take().unwrap_err().to_string(), "there are no rows: no run has finished");
}

#[test]
fn objects_in_memory_have_the_columns_that_they_have_together() {
    let folder = TempDir::new().unwrap();
    let object = |text: &str| serde_json::from_str(text).unwrap();
    let origin = |row| Origin { source: "rows.jsonl".into(), row };
    let run = |rows: &[&str], late: &[&str]| {
        let output = folder.path().join("rows");
        let kept = Kept::new(&output);
        let layout = Layout::of(&output).unwrap();
        let mut writer = ObjectWriter::create(&layout, "messages", &[]).unwrap().with_origins().unwrap();
        let mut built = crate::format::ObjectBuilder::default();
        for (row, number) in rows.iter().zip(1..) {
            writer.push(&ObjectRow::InBatch).unwrap();
            writer.origin(&origin(Some(number)), "alpaca", 0).unwrap();
            built.push(&object(row)).unwrap();
        }
        writer.push_batch(Ok(built.finish()));
        for row in late {
            writer.push_object(&object(row)).unwrap();
            writer.origin(&origin(None), "sharegpt", 7).unwrap();
        }
        assert_eq!(writer.finish().unwrap().rows, (rows.len() + late.len()) as u64);
        kept.take().unwrap()
    };
    let came = run(&[r#"{"a": 1}"#, r#"{"a": 2}"#], &[r#"{"a": 0.5, "b": "x"}"#]);
    let table = came.table("train").unwrap();
    let numbers = whole(table.schema(), table.batches());
    let numbers = numbers.column(0).as_primitive::<arrow_array::types::Float64Type>();
    assert_eq!(numbers.values(), &[1.0, 2.0, 0.5]);
    let provenance = came.provenance().unwrap();
    let [of_rows] = provenance.batches() else { panic!("{provenance:?}") };
    let shapes: Vec<_> = of_rows.column_by_name("shape").unwrap().as_string::<i32>().iter().collect();
    assert_eq!(shapes, [Some("alpaca"), Some("alpaca"), Some("sharegpt")]);
    let rows: Vec<_> = of_rows
        .column_by_name("row")
        .unwrap()
        .as_primitive::<arrow_array::types::Int64Type>()
        .iter()
        .collect();
    assert_eq!(rows, [Some(1), Some(2), None]);
    let ids: Vec<_> = of_rows.column_by_name("id").unwrap().as_string::<i32>().iter().collect();
    assert_eq!(ids[1], Some(records::converted_id(&origin(Some(2)), 0).as_str()));
    // Values of different types are told to whoever asks for the rows, not to the run.
    for late in [&[r#"{"a": true}"#][..], &[r#"{"b": 1}"#, r#"{"b": []}"#, r#"{"b": 1}"#]] {
        let error = run(&[r#"{"a": 1}"#], late).table("train").unwrap_err();
        assert_eq!(error.to_string(), "the rows don't fit one table");
        assert!(error.hint().unwrap().contains("output"));
    }
    assert_eq!(run(&[], &[]).table("train").unwrap().rows(), 0);
}

#[test]
fn a_run_with_other_splits_leaves_none_of_the_old_ones() {
    let (folder, fresh) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let write = |folder: &Path, splits: &[&str]| {
        let last = splits.len() - 1;
        write_splits(folder, splits, 2, &examples(5), |number| number.min(last));
    };
    write(fresh.path(), &["train", "test"]);
    for before in [&["train", "validation", "test"] as &[&str], &["train"]] {
        write(folder.path(), before);
        write(folder.path(), &["train", "test"]);
        assert_eq!(tree(folder.path()), tree(fresh.path()));
    }
}

#[test]
fn splits_that_cant_be_written_are_refused() {
    let folder = TempDir::new().unwrap();
    let refused = |output: &str, splits: &[&str]| {
        let layout = Layout::of(&folder.path().join(output)).unwrap();
        let error = Writer::create(&layout, Format::Messages, Sampling::default(), 1, splits).err().unwrap();
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
        assert!(!layout.run().exists());
        let place = folder.path().join("");
        format!("{error}; {}", error.hint().unwrap()).replace(place.to_str().unwrap(), "")
    };
    insta::assert_snapshot!(refused("a.jsonl", &["train", "test"]), @"one file, `a.jsonl`, can't hold the splits `train`, `test`; write a folder, which has files for each: name the output without an ending");
    insta::assert_snapshot!(refused("out", &["train", "../test"]), @"`../test` can't be the name of a split; a name is letters from a to z, as `validation`, `test` or `dev`");
    insta::assert_snapshot!(refused("out", &["train", "train"]), @"the split `train` is named twice; name each split once");
    insta::assert_snapshot!(refused("out", &[]), @"can't write a dataset without a split; name one, as `train`");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for name in ["dataset", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json", "a.csv", "a.parquet"] {
        let first = write(&one.path().join(name), Format::Bonito, 3, &examples(5));
        let again = write(&one.path().join(name), Format::Bonito, 3, &examples(5));
        write(&two.path().join(name), Format::Bonito, 3, &examples(5));
        assert_eq!(first, again);
        let file = &first.files[0];
        assert_eq!(file.bytes, fs::metadata(&file.path).unwrap().len());
    }
    assert_eq!(tree(one.path()), tree(two.path()));
}

#[test]
fn a_run_stopped_at_any_moment_of_its_end_can_be_done_again() {
    let fresh = TempDir::new().unwrap();
    write(fresh.path(), Format::Bonito, 2, &examples(3));
    for stopped_after in 0.. {
        let folder = TempDir::new().unwrap();
        // A finished run with more shards stood here before.
        write(folder.path(), Format::Bonito, 1, &examples(4));
        let (plan, _) = fill(writer(folder.path(), Format::Bonito, 2), &examples(3)).close(&card()).unwrap();
        if stopped_after > plan.steps.len() {
            break;
        }
        plan.steps[..stopped_after].iter().for_each(|step| step.run().unwrap());
        // What lies under a finished name is whole at any moment.
        let layout = Layout::of(folder.path()).unwrap();
        let places = [layout.data_files().unwrap(), layout.provenance_files().unwrap()].concat();
        assert!(places.iter().all(|file| !batches(file).is_empty()));
        write(folder.path(), Format::Bonito, 2, &examples(3));
        assert_eq!(tree(folder.path()), tree(fresh.path()), "stopped after {stopped_after} steps");
    }
}

#[test]
fn a_run_of_splits_stopped_at_any_moment_of_its_end_can_be_done_again() {
    let splits = ["train", "test"];
    let split = |number| number % 2;
    let fresh = TempDir::new().unwrap();
    write_splits(fresh.path(), &splits, 2, &examples(5), split);
    for stopped_after in 0.. {
        let folder = TempDir::new().unwrap();
        write_splits(folder.path(), &["train", "dev"], 1, &examples(4), split);
        let writer = split_writer(folder.path(), &splits, 2, &examples(5), split);
        let (plan, _) = writer.close(&card()).unwrap();
        if stopped_after > plan.steps.len() {
            break;
        }
        plan.steps[..stopped_after].iter().for_each(|step| step.run().unwrap());
        write_splits(folder.path(), &splits, 2, &examples(5), split);
        assert_eq!(tree(folder.path()), tree(fresh.path()), "stopped after {stopped_after} steps");
    }
}

#[test]
fn a_writer_that_is_dropped_changes_nothing_but_partial() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), Format::Bonito, 2, &examples(3));
    let before = tree(folder.path());
    drop(fill(writer(folder.path(), Format::Bonito, 1), &examples(5)));
    let mut after = tree(folder.path());
    assert!(after.len() > before.len());
    after.retain(|name, _| !name.starts_with("run/partial/"));
    assert_eq!(after, before);
}

#[test]
fn files_of_the_user_stay_where_they_are() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/mine.parquet"), "mine").unwrap();
    write(folder.path(), Format::Bonito, 2, &examples(3));
    assert_eq!(fs::read_to_string(folder.path().join("data/mine.parquet")).unwrap(), "mine");
}

#[test]
fn one_file_has_its_run_beside_it() {
    let folder = TempDir::new().unwrap();
    let finished = write(&folder.path().join("a.jsonl"), Format::Bonito, 2, &examples(5));
    assert_eq!((finished.rows, finished.rejects, finished.files.len()), (5, 2, 1));
    insta::assert_snapshot!(names(folder.path()), @r"
    a.jsonl
    a.jsonl.run/
    a.jsonl.run/provenance.parquet
    a.jsonl.run/rejects.parquet
    ");
    let layout = Layout::of(&folder.path().join("a.jsonl")).unwrap();
    assert_eq!(texts(&layout.provenance_files().unwrap()[0], "id").len(), 5);
    assert_eq!(texts(&layout.rejects(), "reason"), ["invalid_utf8", "no_pipe"]);
}

#[test]
fn every_text_file_holds_the_same_rows() {
    let folder = TempDir::new().unwrap();
    let examples = examples(3);
    let rows: Vec<_> = examples.iter().map(|example| Format::Messages.json(example)).collect();
    let read = |name: &str| {
        let path = folder.path().join(name);
        write(&path, Format::Messages, 2, &examples);
        fs::read(path).unwrap()
    };
    let lines = |bytes: &[u8]| -> Vec<serde_json::Value> {
        std::str::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(lines(&read("a.jsonl")), rows);
    let packed = read("a.jsonl.gz");
    assert_eq!(packed[3..8], [0; 5], "neither a name nor a time in the head");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut plain).unwrap();
    assert_eq!(lines(&plain), rows);
    assert_eq!(lines(&zstd::decode_all(read("a.jsonl.zst").as_slice()).unwrap()), rows);
    assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&read("a.json")).unwrap(), rows);

    writer(&folder.path().join("empty.json"), Format::Messages, 2).finish(&card()).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("empty.json")).unwrap(), "[]\n");
    writer(&folder.path().join("empty.csv"), Format::Alpaca, 2).finish(&card()).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("empty.csv")).unwrap(), "instruction,input,output\n");
}

#[test]
fn csv_is_refused_for_lists() {
    let layout = Layout::of(Path::new("out.csv")).unwrap();
    let error = Writer::create(&layout, Format::Messages, Sampling::default(), 1, &["train"]).err().unwrap();
    insta::assert_snapshot!(error.to_string(), @"format `messages` doesn't fit the CSV file `out.csv`: its rows hold lists");
    insta::assert_snapshot!(error.hint().unwrap(), @"formats that fit are `prompt-completion`, `bonito`, `alpaca`, `ctga`; or end the output's name in .jsonl or .parquet");
    assert!(!layout.run().exists());
}

#[test]
fn a_row_group_ends_before_memory_grows() {
    let folder = TempDir::new().unwrap();
    let long = "A heron stood. ".repeat(70_000);
    let examples: Vec<_> = (0..40).map(|n| example(n, "", &long, "yes")).collect();
    let file = &write(folder.path(), Format::Bonito, 100, &examples).files[0];
    // 1 MB each: a group ends with the row that brings it to 16 MiB.
    let rows: Vec<_> = metadata(&file.path).row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [16, 16, 8]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_with_a_way_out() {
    // `/dev/full` answers every write as a full disk does.
    let full = |output: &Path, file: &str, examples: &[Example]| {
        let writer = writer(output, Format::Bonito, 1);
        let file = Layout::of(output).unwrap().partial().join(file);
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        let mut writer = writer;
        let result = examples.iter().try_for_each(|example| writer.example(example, 0));
        let error = result.and_then(|()| writer.finish(&card())).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Output);
        assert!(error.to_string().ends_with(&format!("`{}`", file.display())), "{error}");
        assert!(
            std::error::Error::source(&error).unwrap().to_string().contains("No space left"),
            "{error:?}"
        );
        assert!(error.hint().unwrap().contains("free some space"), "{error:?}");
    };
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("out");
    full(&output, "data/00000.parquet", &examples(3));
    full(&output, "provenance/00001.parquet", &examples(3));
    full(&output, "README.md", &examples(3));
    assert!(!output.join("data").exists() && !output.join("README.md").exists());
    write(&output, Format::Bonito, 1, &examples(3));
    assert!(output.join("README.md").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_place_that_cant_be_written_to_is_an_error_with_a_way_out() {
    // Even the superuser can't make files in `/proc`.
    let layout = Layout::of(Path::new("/proc/instil/out")).unwrap();
    let error = Writer::create(&layout, Format::Bonito, Sampling::default(), 1, &["train"]).err().unwrap();
    assert_eq!(error.kind(), crate::ErrorKind::Output);
    assert_eq!(error.to_string(), "can't make the folder `/proc/instil/out/run/partial`");
    assert!(error.hint().unwrap().contains("`-o`"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn rows_come_back_as_they_went(rows in proptest::collection::vec((".*\\PC*", "[ \\t\\r\\n\",\\x00-\\x1f|é🦩]*", "\\PC*"), 0..16)) {
        let examples: Vec<_> = (0..).zip(&rows).map(|(n, (a, b, c))| example(n, a, &format!("{a} {b}"), c)).collect();
        let folder = TempDir::new().unwrap();
        for format in Format::ALL {
            write(&folder.path().join("dataset"), format, 3, &examples);
            let expected: Vec<_> = examples.iter().map(|example| format.json(example)).collect();
            let layout = Layout::of(&folder.path().join("dataset")).unwrap();
            let read: Vec<_> = layout.data_files().unwrap().iter().flat_map(|file| json_rows(file, format)).collect();
            prop_assert_eq!(&read, &expected);

            let file = folder.path().join("a.jsonl");
            write(&file, format, 3, &examples);
            let read: Vec<serde_json::Value> =
                fs::read_to_string(&file).unwrap().split_terminator('\n').map(|line| serde_json::from_str(line).unwrap()).collect();
            prop_assert_eq!(&read, &expected);

            if format.is_flat() {
                let file = folder.path().join("a.csv");
                write(&file, format, 3, &examples);
                let mut reader = csv::Reader::from_path(&file).unwrap();
                let read: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
                let read: Vec<_> = read.iter().map(|row| serde_json::to_value(row).unwrap()).collect();
                prop_assert_eq!(&read, &expected);
            }
        }
    }
}

/// The rows of a Parquet file as the format's JSON.
fn json_rows(file: &Path, format: Format) -> Vec<serde_json::Value> {
    let mut rows = Vec::new();
    for batch in batches(file) {
        for row in 0..batch.num_rows() {
            let text = |column: &dyn Array| column.as_string::<i32>().value(row).to_owned();
            let value = |name: &str| match format {
                Format::Messages => {
                    let turns = batch.column_by_name(name).unwrap().as_list::<i32>().value(row);
                    let part = |index| turns.as_struct().column(index).as_string::<i32>().clone();
                    let pairs = (0..turns.len()).map(|turn| {
                        serde_json::json!({"role": part(0).value(turn), "content": part(1).value(turn)})
                    });
                    pairs.collect()
                }
                _ => serde_json::Value::from(text(batch.column_by_name(name).unwrap())),
            };
            rows.push(
                format.columns().iter().map(|column| (column.name.to_owned(), value(column.name))).collect(),
            );
        }
    }
    rows
}
