use super::*;

#[test]
fn a_real_folder_is_opened() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/models/TinyStories-656K"));
    if !folder.is_dir() {
        eprintln!("skipped: no {}", folder.display());
        return;
    }
    let checkpoint = Checkpoint::open(folder, Quantize::Auto).unwrap();
    let embedding = checkpoint.matrix("model.embed_tokens.weight", 2048, 128).unwrap();
    assert_eq!(embedding.bytes(), 2048 * 128 * 4);
}
