//! Rows that others wrote, read as every shape and written as every other: records or misfits, never an end of
//! the program; and what is written as a shape is read as that shape.
#![no_main]

use instil::convert::{SHAPES, check, detect};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(serde_json::Value::Object(row)) = serde_json::from_str(text) else { return };
    detect([(1, &row)]);
    for from in SHAPES {
        for record in from.read(&row).into_iter().flatten() {
            check(&record, from);
            for to in SHAPES {
                let Ok(written) = to.write(&record) else { continue };
                assert!(to.read(&written.row).iter().all(Result::is_ok), "{from:?} {to:?}");
            }
        }
    }
});
