//! A comparison as a drawing: differences as points, their intervals as bars, and a line at zero.

use plotters::prelude::{
    Circle, Color, IntoDrawingArea, IntoFont, Palette, Palette99, PathElement, RGBColor, SVGBackend, Text,
    WHITE,
};
use plotters::style::ShapeStyle;

use super::page::name;
use super::{Comparison, Difference, Verdict};
use crate::error::{Error, Result};

const WIDTH: i32 = 760;
/// Where names end and the axis begins.
const LEFT: i32 = 280;
const RIGHT: i32 = 20;
/// The height of a row, and of what stands above and below them.
const ROW: i32 = 20;
const ABOVE: i32 = 40;
const BELOW: i32 = 46;

const INK: RGBColor = RGBColor(40, 40, 40);
const PALE: RGBColor = RGBColor(190, 190, 190);

/// The drawing as SVG.
///
/// # Errors
/// When there is no difference to draw.
pub fn svg(comparison: &Comparison, title: &str) -> Result<String> {
    let rows: Vec<(String, Difference)> = comparison
        .benchmarks
        .iter()
        .flat_map(|benchmark| {
            let of =
                |arm: &super::OfArm| Some((format!("{}: {}", name(benchmark), arm.arm), arm.difference?));
            benchmark.arms.iter().filter_map(of)
        })
        .collect();
    if rows.is_empty() {
        return Err(Error::input("there is no difference that could be drawn"));
    }
    let mut drawn = String::new();
    draw(&mut drawn, title, &comparison.against, &rows)
        .map_err(|e| Error::output("the comparison can't be drawn").because(e))?;
    Ok(drawn)
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn draw(to: &mut String, title: &str, against: &str, rows: &[(String, Difference)]) -> Drawn {
    let height = ABOVE + BELOW + ROW * i32::try_from(rows.len())?;
    let area = SVGBackend::with_string(to, (WIDTH.unsigned_abs(), height.unsigned_abs())).into_drawing_area();
    area.fill(&WHITE)?;
    let ends = rows.iter().flat_map(|(_, difference)| [difference.interval.0, difference.interval.1]);
    let most = ends.map(f64::abs).fold(1e-3, f64::max) * 1.05;
    let at =
        |value: f64| LEFT + ((value + most) / (2.0 * most) * f64::from(WIDTH - LEFT - RIGHT)).round() as i32;
    let words = |text: &str, x: i32, y: i32, size: i32| {
        Text::new(text.to_owned(), (x, y), ("sans-serif", size).into_font().color(&INK))
    };
    let line = |points: Vec<(i32, i32)>, style: ShapeStyle| PathElement::new(points, style);
    area.draw(&words(title, 14, 8, 20))?;
    let (top, bottom) = (ABOVE, height - BELOW);
    // Five marks, zero in the middle.
    for mark in -2..=2 {
        let value = most * f64::from(mark) / 2.0;
        area.draw(&line(vec![(at(value), top), (at(value), bottom)], PALE.stroke_width(1)))?;
        area.draw(&words(&format!("{value:+.3}"), at(value) - 18, bottom + 6, 14))?;
    }
    area.draw(&line(vec![(at(0.0), top), (at(0.0), bottom)], INK.stroke_width(2)))?;
    area.draw(&words(&format!("difference to {against}, 95 %"), LEFT + 120, bottom + 24, 15))?;
    for ((label, difference), row) in rows.iter().zip(0..) {
        let y = top + ROW * row + ROW / 2;
        let color = match difference.verdict {
            Verdict::Better => Palette99::pick(1).to_rgba(),
            Verdict::Worse => Palette99::pick(0).to_rgba(),
            Verdict::NotShown => RGBColor(120, 120, 120).to_rgba(),
        };
        let (low, high) = difference.interval;
        area.draw(&words(label, 14, y - 6, 15))?;
        area.draw(&line(vec![(at(low), y), (at(high), y)], color.stroke_width(2)))?;
        area.draw(&Circle::new((at(difference.value), y), 4, color.filled()))?;
    }
    area.present()?;
    Ok(())
}
