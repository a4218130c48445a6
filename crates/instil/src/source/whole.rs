//! Files that are one document.

use std::io::Read;

use super::bytes::Bytes;
use super::place::{Item, MAX_TEXT_BYTES, Place};
use crate::reject::{Reason, Reject};

/// All bytes of a file.
///
/// # Errors
/// When it can't be read to its end, or is larger than [`MAX_TEXT_BYTES`].
pub(super) fn read_all(place: &Place, bytes: Bytes) -> Result<Vec<u8>, Reject> {
    let mut all = Vec::new();
    match bytes.take(MAX_TEXT_BYTES + 1).read_to_end(&mut all) {
        Ok(read) if read as u64 > MAX_TEXT_BYTES => {
            let raw = format!("the file is one document of more than {MAX_TEXT_BYTES} bytes: split it");
            Err(place.reject(Reason::Unreadable, None, raw))
        }
        Ok(_) => Ok(all),
        Err(error) => Err(place.unreadable(None, &error)),
    }
}

/// All characters of a file.
///
/// # Errors
/// As [`read_all`], and when it is not UTF-8.
pub(super) fn read_text(place: &Place, bytes: Bytes) -> Result<String, Reject> {
    String::from_utf8(read_all(place, bytes)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        // The line around the fault is what helps to find it.
        let bytes = error.as_bytes();
        let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let start = start.max(at.saturating_sub(80));
        let around = String::from_utf8_lossy(&bytes[start..bytes.len().min(at + 80)]).into_owned();
        let raw = format!("not UTF-8 at byte {at}: {around}");
        place.reject(Reason::InvalidUtf8, None, raw)
    })
}

/// The file as it is, the document.
pub(super) fn plain(place: &Place, bytes: Bytes) -> Item {
    place.document(read_text(place, bytes)?, None, None)
}
