//! Tables: cells wrap, and columns share the width out, the widest giving first.

use super::wrap::{self, Piece};

/// Columns between two cells.
const GAP: usize = 2;
/// No cell gets narrower than this; a table that would need it is set as a list of records.
const NARROWEST: usize = 5;

/// The widths of the columns of a table, or `None` when they cannot stand side by side.
///
/// `natural` are the widths without wrapping, `words` those of the longest words.
pub fn share(natural: &[usize], words: &[usize], columns: usize) -> Option<Vec<usize>> {
    let room = columns.checked_sub(GAP * natural.len().saturating_sub(1))?;
    let mut widths: Vec<usize> = natural.iter().map(|w| (*w).clamp(1, 400)).collect();
    for floor_of_words in [true, false] {
        let floor = |i: usize| {
            let word = if floor_of_words { words[i] } else { NARROWEST };
            word.max(NARROWEST).min(natural[i].max(1))
        };
        while widths.iter().sum::<usize>() > room {
            let widest = (0..widths.len()).filter(|i| widths[*i] > floor(*i)).max_by_key(|i| widths[*i]);
            let Some(widest) = widest else { break };
            widths[widest] -= 1;
        }
        if widths.iter().sum::<usize>() <= room {
            return Some(widths);
        }
        // Many columns in little room: words would be cut in pieces, and records read better.
        if natural.len() > 2 {
            return None;
        }
    }
    None
}

/// A row of cells as lines, each cell wrapped in its column. Nothing stands behind the last cell's text.
pub fn row(cells: &[Vec<Piece>], widths: &[usize]) -> Vec<Vec<Piece>> {
    let wrapped: Vec<Vec<Vec<Piece>>> = cells.iter().zip(widths).map(|(cell, w)| wrap::wrap(cell, *w)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    (0..height)
        .map(|line| {
            let mut out: Vec<Piece> = Vec::new();
            let mut pending = 0;
            for (cell, column) in wrapped.iter().zip(widths) {
                let pieces = cell.get(line).map_or(&[][..], Vec::as_slice);
                if !pieces.is_empty() {
                    if pending > 0 {
                        out.push(Piece::new(" ".repeat(pending), ratatui::style::Style::new()));
                    }
                    pending = 0;
                    out.extend(pieces.iter().cloned());
                }
                pending += column.saturating_sub(wrap::width(pieces)) + GAP;
            }
            out
        })
        .collect()
}

/// Columns that a table of these widths takes.
pub fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_column_gives_first() {
        assert_eq!(share(&[8, 60, 10], &[8, 9, 10], 50), Some(vec![8, 28, 10]));
        assert_eq!(share(&[8, 10], &[8, 9], 50), Some(vec![8, 10]));
    }

    #[test]
    fn too_many_columns_become_records() {
        assert_eq!(share(&[12, 12, 12, 12], &[12, 12, 12, 12], 36), None);
        assert_eq!(share(&[3, 3], &[3, 3], 1), None);
    }
}
