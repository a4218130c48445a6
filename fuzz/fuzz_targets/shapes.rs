//! Lines that others wrote, parsed as `convert` parses them and read as every shape: an object that is a record of a
//! shape comes back as it went, and what is written as another shape is read as that shape.
#![no_main]

use instil::convert::{SHAPES, check, object, shape_of};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let Ok(row) = object(text) else { return };
    // What has no key twice is the same to every parser.
    assert_eq!(serde_json::from_str::<Value>(text).ok(), Some(Value::Object(row.clone())));
    shape_of(&row);
    for from in SHAPES {
        let records: Result<Vec<_>, _> = from.read(&row).into_iter().collect();
        let Ok(records) = records else { continue };
        let back = from.write_task(&records).expect("what was read is written");
        assert_eq!(Value::Object(back.row), Value::Object(row.clone()), "{from:?}");
        for record in records {
            check(&record, from);
            for to in SHAPES {
                for part in to.parts(record.clone()) {
                    let Ok(written) = to.write(&part) else { continue };
                    assert!(to.read(&written.row).iter().all(Result::is_ok), "{from:?} {to:?}");
                }
            }
        }
    }
});
