//! Web pages, PDF and Word.

use std::io::Cursor;

use pdf_extract::{Document as Pdf, EncryptionState, EncryptionVersion, Permissions};

use super::*;

const SENTENCE: &str =
    "The tenant pays the rent on the first day of each month, and no later than the fifth. ";

#[test]
fn the_main_text_of_a_page_is_its_paragraphs() {
    let body: String = (1..6).map(|n| format!("<p>Paragraph {n}. {}</p>\n", SENTENCE.repeat(3))).collect();
    let html = format!(
        "<!doctype html><html><head><title>Lease</title><style>p {{}}</style><script>var x;</script></head><body>\
         <nav><a href=x>Home</a> <a href=y>Imprint</a></nav><article><h1>The &quot;lease&quot;</h1>{body}\
         <script>alert(1)</script><noscript><p>Turn it on.</p></noscript></article><footer>Imprint</footer></body></html>"
    );
    let items = read_bytes("a.html", html.as_bytes());
    let text = texts(&items)[0];
    let paragraphs: Vec<_> = text.split("\n\n").collect();
    assert_eq!(paragraphs.len(), 6, "{text}");
    assert_eq!(paragraphs[0], "The \"lease\"");
    assert!(paragraphs[5].starts_with("Paragraph 5. The tenant"), "{text}");
    for absent in ["alert", "var x", "p {", "Turn it on", "Home", "Imprint"] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
}

#[test]
fn all_of_a_short_page_is_read() {
    let html = b"<html><body><nav>Home</nav><h1>Note</h1><div>One &amp; two.</div><script>x()</script>\
        <p>Three<br>four.</p><ul><li>five</li><li>six</li></ul></body></html>";
    assert_eq!(texts(&read_bytes("a.htm", html)), ["Note\n\nOne & two.\n\nThree\nfour.\n\nfive\nsix"]);
    assert_eq!(texts(&read_bytes("a.html", b"just words")), ["just words"]);
    assert_eq!(rejects(&read_bytes("a.html", b"<script>x()</script>")), [("empty_text", None, "")]);
    assert_eq!(rejects(&read_bytes("a.html", b"<p>\xff</p>"))[0].0, "invalid_utf8");
    let deep = format!("{}deep {}", "<div>".repeat(3000), SENTENCE.repeat(10));
    assert!(texts(&read_bytes("a.html", deep.as_bytes()))[0].starts_with("deep The tenant"));
}

/// A PDF with a page for each of these streams.
fn pdf(pages: &[&str]) -> Vec<u8> {
    let kids: String = (0..pages.len()).map(|page| format!("{} 0 R ", 4 + 2 * page)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    for (page, stream) in pages.iter().enumerate() {
        let contents = 5 + 2 * page;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {contents} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>"
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()));
    }
    let mut file = "%PDF-1.4\n".to_owned();
    let mut offsets = String::new();
    for (index, object) in objects.iter().enumerate() {
        offsets += &format!("{:010} 00000 n \n", file.len());
        file += &format!("{} 0 obj\n{object}\nendobj\n", index + 1);
    }
    let count = objects.len() + 1;
    let start = file.len();
    file += &format!("xref\n0 {count}\n0000000000 65535 f \n{offsets}");
    file += &format!("trailer\n<< /Size {count} /Root 1 0 R /ID [<01> <01>] >>\nstartxref\n{start}\n%%EOF\n");
    file.into_bytes()
}

const LINES: &str = "BT /F1 12 Tf 14 TL 72 720 Td (A cat sat on the mat, and the) Tj T* (dog saw it.) Tj \
                     0 -40 Td (Then it slept.) Tj ET";

#[test]
fn a_pdf_is_paragraphs() {
    let items = read_bytes("a.pdf", &pdf(&[LINES, "BT /F1 12 Tf 72 720 Td (The end.) Tj ET"]));
    assert_eq!(texts(&items), ["A cat sat on the mat, and the dog saw it.\n\nThen it slept.\n\nThe end."]);
    assert_eq!(texts(&read_bytes("a.txt", &pdf(&[LINES]))).len(), 1, "a wrong ending");
}

#[test]
fn a_pdf_without_text_says_what_to_do() {
    let items = read_bytes("a.pdf", &pdf(&["0 0 m 100 100 l S"]));
    let raw = "the PDF has no text in it, only pictures of pages perhaps: \
               put text into it first, for example with `ocrmypdf`";
    assert_eq!(rejects(&items), [("empty_text", None, raw)]);
}

#[test]
fn a_locked_pdf_says_what_to_do() {
    let lock = |user_password: &str| {
        let mut locked = Pdf::load_mem(&pdf(&[LINES])).unwrap();
        let version = EncryptionVersion::V2 {
            document: &locked,
            owner_password: "owner",
            user_password,
            key_length: 128,
            permissions: Permissions::all(),
        };
        let state = EncryptionState::try_from(version).unwrap();
        locked.encrypt(&state).unwrap();
        let mut bytes = Vec::new();
        locked.save_to(&mut bytes).unwrap();
        bytes
    };
    let raw = "the PDF is protected by a password: save it without one, for example with `qpdf --decrypt`";
    assert_eq!(rejects(&read_bytes("a.pdf", &lock("secret"))), [("unreadable", None, raw)]);
    assert_eq!(texts(&read_bytes("a.pdf", &lock("")))[0].split('\n').next_back(), Some("Then it slept."));
}

#[test]
fn a_broken_pdf_is_a_reject_and_the_rest_is_read() {
    let whole = pdf(&[LINES]);
    let no_font = String::from_utf8(pdf(&[LINES, LINES])).unwrap().replacen("/F1 3 0 R", "/F1 9 9 R", 1);
    let folder = Folder::new(&[
        ("in/a.pdf", &whole[..whole.len() / 3]),
        ("in/b.pdf", b"%PDF-1.4 and nothing more"),
        ("in/c.pdf", no_font.as_bytes()),
        ("in/d.txt", b"The rest."),
    ]);
    let items = read(folder.path("in"));
    let told = rejects(&items);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|(reason, ..)| *reason == "unreadable"), "{told:?}");
    assert!(told[2].2.starts_with("page 1 can't be read: "), "{told:?}");
    let good: Vec<_> = items.iter().flatten().map(|document| document.text.as_str()).collect();
    assert_eq!(good, ["A cat sat on the mat, and the dog saw it.\n\nThen it slept.", "The rest."]);
}

fn docx(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_word_document_is_paragraphs() {
    let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
        <w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>
        <w:p><w:pPr><w:pStyle w:val="Heading1"/><w:tabs><w:tab w:val="left" w:pos="1"/></w:tabs></w:pPr>
            <w:r><w:t>Scope &amp; term</w:t></w:r></w:p>
        <w:p><w:r><w:t xml:space="preserve">One </w:t></w:r><w:r><w:t>two&#33;</w:t><w:br/><w:t>three</w:t></w:r>
            <w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom></w:p>
        <w:p/>
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr>
            <w:tr><w:tc><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
        <w:p><w:r><w:instrText>PAGE</w:instrText><w:t>Last<w:tab/></w:t></w:r></w:p></w:body></w:document>"#;
    let bytes = docx(&[("[Content_Types].xml", ""), ("word/document.xml", xml)]);
    let expected = "Scope & term\n\nOne two!\nthree\n\na\tb\nc\n\nLast";
    assert_eq!(texts(&read_bytes("a.docx", &bytes)), [expected]);
    assert_eq!(texts(&read_bytes("letter", &bytes)), [expected], "no ending");
}

#[test]
fn what_is_no_word_document_is_told() {
    let told = |bytes: &[u8]| read_bytes("a.docx", bytes)[0].as_ref().unwrap_err().raw.clone();
    assert_eq!(
        told(&docx(&[("a.txt", "x")])),
        "it is a zip archive, but not a .docx: `word/document.xml` is not in it"
    );
    assert_eq!(
        told(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1]),
        "it is protected by a password, or an old .doc: save it as .docx without one"
    );
    let whole = docx(&[("word/document.xml", "<w:p><w:t>x</w:t></w:q>")]);
    assert!(told(&whole).starts_with("the .docx is damaged: "), "{}", told(&whole));
    assert!(told(&whole[..whole.len() / 2]).starts_with("the .docx is damaged: "));
    let unknown = docx(&[("word/document.xml", "<w:p><w:t>x &huh; y</w:t></w:p>")]);
    assert_eq!(told(&unknown), "the .docx is damaged: `&huh;` is not known");
    let empty = docx(&[("word/document.xml", "<w:p/>")]);
    assert_eq!(rejects(&read_bytes("a.docx", &empty)), [("empty_text", None, "")]);
}
