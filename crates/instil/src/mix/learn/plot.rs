//! A picture of what models are worth that were tuned on the mixes: a column for each task and one for the mean, in it a
//! mark for each mix and seed, and a bar at the mean over seeds.

use std::fmt::Write;

use super::evidence::Evidence;
use crate::mix::proportions::means;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 40.0;
/// Okabe and Ito's colours, which everybody can tell apart.
const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#000000"];

/// The picture as SVG; none where nothing was compared.
pub fn svg(evidence: &Evidence) -> Option<String> {
    (!evidence.compared.is_empty()).then(|| {
        let mut out = String::new();
        draw(evidence, &mut out).expect("a String takes any text");
        out
    })
}

fn draw(evidence: &Evidence, out: &mut String) -> std::fmt::Result {
    let columns: Vec<String> =
        evidence.tasks.iter().cloned().chain(std::iter::once("mean".to_owned())).collect();
    let of_seed = |tasks: &Vec<f64>| -> Vec<f64> {
        let mean = means(std::slice::from_ref(tasks), &evidence.weights)[0];
        tasks.iter().copied().chain(std::iter::once(mean)).collect()
    };
    let values: Vec<Vec<Vec<f64>>> = evidence
        .compared
        .iter()
        .map(|compared| compared.seeds.iter().map(|(_, tasks)| of_seed(tasks)).collect())
        .collect();
    let base = evidence.base.as_ref().map(of_seed);
    let all = || values.iter().flatten().flatten().chain(base.iter().flatten()).copied();
    let low = (all().fold(1.0, f64::min) * 10.0 - 0.2).floor().max(0.0) / 10.0;
    let high = (all().fold(0.0, f64::max) * 10.0 + 0.2).ceil().min(10.0) / 10.0;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (value - low) / (high - low).max(0.1));
    let width = (WIDTH - LEFT - RIGHT) / columns.len() as f64;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">"
    )?;
    writeln!(out, "<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>")?;
    let steps = ((high - low) * 10.0).round() as usize;
    for step in 0..=steps {
        let value = low + step as f64 / 10.0;
        let at = y(value);
        let end = WIDTH - RIGHT;
        writeln!(out, "<line x1=\"{LEFT}\" x2=\"{end}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/>")?;
        let (x, at) = (LEFT - 8.0, at + 4.0);
        writeln!(out, "<text x=\"{x}\" y=\"{at:.1}\" text-anchor=\"end\">{value:.1}</text>")?;
    }
    for (place, column) in columns.iter().enumerate() {
        let middle = LEFT + width * (place as f64 + 0.5);
        let at = HEIGHT - BOTTOM + 20.0;
        writeln!(
            out,
            "<text x=\"{middle:.1}\" y=\"{at}\" text-anchor=\"middle\">{}</text>",
            escaped(column)
        )?;
        if let Some(base) = &base {
            let (from, to, at) = (middle - 0.42 * width, middle + 0.42 * width, y(base[place]));
            writeln!(
                out,
                "<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#666666\" stroke-dasharray=\"4 3\"/>"
            )?;
        }
        let part = 0.84 * width / values.len() as f64;
        for (mix, seeds) in values.iter().enumerate() {
            let colour = COLOURS[mix % COLOURS.len()];
            let x = middle - 0.42 * width + part * (mix as f64 + 0.5);
            for seed in seeds {
                let at = y(seed[place]);
                writeln!(
                    out,
                    "<circle cx=\"{x:.1}\" cy=\"{at:.1}\" r=\"3\" fill=\"{colour}\" fill-opacity=\"0.6\"/>"
                )?;
            }
            let mean = seeds.iter().map(|seed| seed[place]).sum::<f64>() / seeds.len().max(1) as f64;
            let (from, to, at) = (x - 0.35 * part, x + 0.35 * part, y(mean));
            writeln!(
                out,
                "<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            )?;
        }
    }
    let names = evidence.compared.iter().map(|compared| compared.name.as_str());
    let legend = names.zip(COLOURS.iter().cycle().copied());
    let base = base.iter().map(|_| ("base (dashed)", "#666666"));
    for (line, (name, colour)) in legend.chain(base).enumerate() {
        let (x, at) = (WIDTH - RIGHT + 16.0, TOP + 12.0 + 20.0 * line as f64);
        let (dot, text) = (at - 4.0, x + 12.0);
        writeln!(out, "<circle cx=\"{x}\" cy=\"{dot}\" r=\"4\" fill=\"{colour}\"/>")?;
        writeln!(out, "<text x=\"{text}\" y=\"{at}\">{}</text>", escaped(name))?;
    }
    writeln!(out, "</svg>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
