//! A table of numbers as colours: one cell per pair of categories.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{PlotError, draw, write_all};

/// Cells over two lists of categories.
#[derive(Clone, Debug, PartialEq)]
pub struct Heatmap {
    /// Above the cells.
    pub title: String,
    /// Name of the horizontal axis, and its categories from left to right.
    pub x: (String, Vec<String>),
    /// Name of the vertical axis, and its categories from bottom to top.
    pub y: (String, Vec<String>),
    /// One row per category of y, one number per category of x.
    pub values: Vec<Vec<f64>>,
    /// What the numbers are.
    pub label: String,
    /// Colours follow the decimal logarithm; all numbers have to be positive.
    pub log: bool,
}

#[derive(Serialize)]
struct Cell<'a> {
    x: &'a str,
    y: &'a str,
    value: f64,
}

impl Heatmap {
    /// Writes `STEM.svg`, `STEM.png` and `STEM.csv` (one row per cell: x, y, value) into a folder.
    pub fn write(&self, folder: &Path, stem: &str) -> Result<Vec<PathBuf>, PlotError> {
        let (columns, rows) = (self.x.1.len(), self.y.1.len());
        let fits = rows > 0 && columns > 0 && self.values.len() == rows;
        if !fits || self.values.iter().any(|row| row.len() != columns) {
            let problem = format!("{columns} × {rows} categories need as many numbers");
            return Err(PlotError::Shape { figure: self.title.clone(), problem });
        }
        let mut cells = Vec::new();
        for (y, row) in self.y.1.iter().zip(&self.values) {
            for (x, &value) in self.x.1.iter().zip(row) {
                if !value.is_finite() || (self.log && value <= 0.0) {
                    let problem = format!("the cell {x}, {y} is {value}, which has no colour");
                    return Err(PlotError::Shape { figure: self.title.clone(), problem });
                }
                cells.push(Cell { x, y, value });
            }
        }
        let shown = |value: &f64| if self.log { value.log10() } else { *value };
        let colours = self.values.iter().map(|row| row.iter().map(shown).collect()).collect();
        write_all(folder, stem, &draw::heatmap(self, colours)?, cells)
    }
}
