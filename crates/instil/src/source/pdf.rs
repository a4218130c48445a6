//! The text of a PDF: letters at places on pages, made into lines and paragraphs again.

use std::collections::HashSet;

use pdf_extract::{Document as Pdf, Error as PdfError, OutputError, PlainTextOutput, output_doc_page};

use super::bytes::Bytes;
use super::guard;
use super::place::{Item, Place};
use super::whole::read_all;
use crate::reject::Reason;

/// The document, and a reject for the pages that could not be read.
pub(super) fn document(place: &Place, bytes: Bytes) -> Vec<Item> {
    let bytes = match read_all(place, bytes) {
        Ok(bytes) => bytes,
        Err(reject) => return vec![Err(reject)],
    };
    let unreadable = |message: String| Err(place.reject(Reason::Unreadable, None, message));
    let pages = match guard::run(|| read_pages(&bytes)).and_then(|pages| pages) {
        Ok(pages) => pages,
        Err(message) => return vec![unreadable(message)],
    };
    let text = paragraphs(&pages.texts);
    let mut items = Vec::new();
    if !text.is_empty() {
        items.push(place.document(text, None, None));
    } else if pages.faults.is_empty() {
        let raw = "the PDF has no text in it, only pictures of pages perhaps: \
                   put text into it first, for example with `ocrmypdf`";
        items.push(Err(place.reject(Reason::EmptyText, None, raw)));
    }
    if let [(page, message), more @ ..] = &pages.faults[..] {
        let others = if more.is_empty() { String::new() } else { format!(" and {} other pages", more.len()) };
        items.push(unreadable(format!("page {page}{others} can't be read: {message}")));
    }
    items
}

#[derive(Default)]
struct Pages {
    texts: Vec<String>,
    /// The numbers of pages that could not be read, and why.
    faults: Vec<(u32, String)>,
}

fn read_pages(bytes: &[u8]) -> Result<Pages, String> {
    let mut pdf = Pdf::load_mem(bytes).map_err(|error| explain(&error))?;
    if pdf.is_encrypted() {
        // Many are encrypted with no password, only to forbid printing.
        pdf.decrypt("").map_err(|error| explain(&error))?;
    }
    let mut pages = Pages::default();
    for page in pdf.get_pages().into_keys() {
        let mut text = String::new();
        let read = guard::catch(|| output_doc_page(&pdf, &mut PlainTextOutput::new(&mut text), page));
        match read {
            Ok(Ok(())) => {}
            Ok(Err(OutputError::PdfError(error))) => pages.faults.push((page, explain(&error))),
            Ok(Err(error)) => pages.faults.push((page, error.to_string())),
            Err(message) => pages.faults.push((page, message)),
        }
        // What came of a page before it broke is still its text.
        pages.texts.push(text);
    }
    Ok(pages)
}

fn explain(error: &PdfError) -> String {
    match error {
        PdfError::Decryption(_) | PdfError::InvalidPassword => {
            "the PDF is protected by a password: save it without one, for example with `qpdf --decrypt`"
                .to_owned()
        }
        error => format!("the PDF is damaged: {error}"),
    }
}

/// Leaves out page numbers; joins the lines of each paragraph, the halves of words that a line break parted, and paragraphs
/// that go on over a page break or a wide line gap.
fn paragraphs(pages: &[String]) -> String {
    let all: HashSet<&str> = pages.iter().flat_map(|page| page.split_whitespace()).map(bare).collect();
    let mut text = String::new();
    for page in pages {
        let mut starts_paragraph = true;
        for line in without_page_number(page).lines().map(str::trim) {
            if line.is_empty() {
                starts_paragraph = true;
                continue;
            }
            add_line(&mut text, line, starts_paragraph, &all);
            starts_paragraph = false;
        }
    }
    text
}

/// The page without a first or last line that is nothing but its number.
fn without_page_number(page: &str) -> &str {
    let is_number = |line: &str| {
        let line = line.trim();
        (1..=4).contains(&line.len()) && line.bytes().all(|byte| byte.is_ascii_digit())
            || (1..=6).contains(&line.len()) && line.bytes().all(|byte| b"ivxl".contains(&byte))
    };
    let page = page.trim();
    let page = page.rsplit_once('\n').filter(|(_, last)| is_number(last)).map_or(page, |(rest, _)| rest);
    page.split_once('\n').filter(|(first, _)| is_number(first)).map_or(page, |(_, rest)| rest)
}

fn add_line(text: &mut String, line: &str, starts_paragraph: bool, words: &HashSet<&str>) {
    let goes_on =
        line.starts_with(char::is_lowercase) && !text.ends_with(['.', '!', '?', ':', ';', '”', '"']);
    if text.is_empty() {
    } else if starts_paragraph && !goes_on {
        text.push_str("\n\n");
    } else if text.ends_with('-') && goes_on {
        let head = text.split_whitespace().next_back().unwrap_or_default().trim_end_matches('-');
        let tail = line.split_whitespace().next().unwrap_or_default();
        // `well-` and `known` is one word with its hyphen if the text says so elsewhere.
        let hyphened = format!("{head}-{tail}");
        if !words.contains(bare(&hyphened)) {
            text.pop();
        }
    } else {
        text.push(' ');
    }
    text.push_str(line);
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_paragraphs() {
        let pages = [
            "A well-known\nfact, exam-\nple and well-\nknown\n\nHeading\n\nThe page ends in\n\nxiv",
            "a sentence.\n\n1",
        ];
        let pages = pages.map(str::to_owned);
        assert_eq!(
            paragraphs(&pages),
            "A well-known fact, example and well-known\n\nHeading\n\nThe page ends in a sentence."
        );
        assert_eq!(paragraphs(&[]), "");
    }
}
