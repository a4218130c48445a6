//! The main text of a web page.

use std::io;

use dom_smoothie::{Config, Readability, TextMode};

use super::bytes::Bytes;
use super::guard;
use super::place::{Item, Place};
use super::whole::read_text;

/// A page with less main text than this is short or no article: all its text is taken.
const MIN_MAIN_CHARS: usize = 500;
/// The search for the main text takes time by the square of the depth; no real page comes near this.
const MAX_DEPTH: usize = 500;
/// What is never text to be read.
const MACHINERY: &str = "script, style, noscript, template, svg, iframe, object";
/// What surrounds the text of a page.
const SURROUNDINGS: &str = "nav, footer, aside, form, button, select, dialog";

/// The page's main text, its paragraphs parted by blank lines.
pub(super) fn page(place: &Place, bytes: Bytes) -> Item {
    let html = read_text(place, bytes)?;
    match guard::run(|| text_of(&html)) {
        Ok(text) => place.document(text, None, None),
        Err(message) => Err(place.unreadable(None, &io::Error::new(io::ErrorKind::InvalidData, message))),
    }
}

fn text_of(html: &str) -> String {
    let config = || Some(Config { text_mode: TextMode::Formatted, ..Config::default() });
    let open = || Readability::new(html, None, config()).map_err(|error| error.to_string());
    main_text(open).or_else(|_| all_text(open)).unwrap_or_default()
}

fn main_text(open: impl Fn() -> Result<Readability, String>) -> Result<String, String> {
    let mut page = open()?;
    page.doc.select(MACHINERY).remove();
    if depth(&page) > MAX_DEPTH {
        return Err("it is nested too deeply".to_owned());
    }
    let heading = page.doc.select_single("h1").text().trim().to_owned();
    let article = page.parse().map_err(|error| error.to_string())?;
    let text = tidy(&article.text_content);
    if text.chars().count() < MIN_MAIN_CHARS {
        return Err("there is too little of it".to_owned());
    }
    // A heading that repeats the page's title is taken out with the title.
    if heading.is_empty() || text.contains(&heading) {
        return Ok(text);
    }
    Ok(format!("{}\n\n{text}", tidy(&heading)))
}

/// How many elements below the body hold one another.
fn depth(page: &Readability) -> usize {
    let mut deepest = 0;
    let mut to_visit: Vec<_> = page.doc.body().into_iter().map(|body| (body, 0)).collect();
    while let Some((node, depth)) = to_visit.pop() {
        deepest = deepest.max(depth);
        to_visit.extend(node.element_children().into_iter().map(|child| (child, depth + 1)));
    }
    deepest
}

fn all_text(open: impl Fn() -> Result<Readability, String>) -> Result<String, String> {
    let page = open()?;
    page.doc.select(MACHINERY).remove();
    let before = tidy(&page.doc.body().map(|body| body.formatted_text()).unwrap_or_default());
    page.doc.select(SURROUNDINGS).remove();
    let after = tidy(&page.doc.body().map(|body| body.formatted_text()).unwrap_or_default());
    Ok(if after.is_empty() { before } else { after })
}

/// Single blank lines between paragraphs, none at the ends, and no blanks at the ends of lines.
pub(super) fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut blank_lines = 0;
    for line in text.lines().map(str::trim_end) {
        if line.trim().is_empty() {
            blank_lines += 1;
            continue;
        }
        if !tidy.is_empty() {
            tidy.push_str(if blank_lines > 0 { "\n\n" } else { "\n" });
        }
        blank_lines = 0;
        tidy.push_str(line);
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidy_leaves_single_blank_lines() {
        assert_eq!(tidy("\n \na \nb\n\n \n\nc\n"), "a\nb\n\nc");
        assert_eq!(tidy(" \n"), "");
    }

    #[test]
    fn depth_is_that_of_the_deepest_element() {
        let page = Readability::new("<div><p>a</p></div><p><b><i>b</i></b></p>", None, None).unwrap();
        assert_eq!(depth(&page), 3);
    }
}
