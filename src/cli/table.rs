//! Tables as terminal text: columns shrink and cells wrap; what does not fit becomes a list.

use crate::content::Inline;

use super::render::{Line, Weight, Word, labelled, words, wrap};

/// A column is at least this wide before a table is written as a list instead.
const NARROWEST: usize = 6;
/// Columns of `" | "`.
const BETWEEN: usize = 3;

/// A table in at most `width` columns.
pub fn lines(head: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>], width: usize) -> Vec<Line> {
    let head: Vec<Vec<Word>> = head.iter().map(|cell| words(cell, Weight::BOLD)).collect();
    let rows: Vec<Vec<Vec<Word>>> =
        rows.iter().map(|row| row.iter().map(|cell| words(cell, Weight::PLAIN)).collect()).collect();
    let room = width.saturating_sub(BETWEEN * head.len().saturating_sub(1));
    if head.is_empty() || room < NARROWEST * head.len() {
        return as_list(&head, &rows, width);
    }
    let widths = widths(&head, &rows, room);
    let mut out = row_lines(&head, &widths);
    let rule = Line::new(&widths.iter().map(|wide| "-".repeat(*wide)).collect::<Vec<_>>().join("-+-"), Weight::DIM);
    out.push(rule.clone());
    let drawn: Vec<Vec<Line>> = rows.iter().map(|row| row_lines(row, &widths)).collect();
    // Rows of several lines run into each other without a rule between.
    let has_rules = drawn.iter().any(|row| row.len() > 1);
    for (place, row) in drawn.into_iter().enumerate() {
        if has_rules && place > 0 {
            out.push(rule.clone());
        }
        out.extend(row);
    }
    out
}

/// The widest columns give way until all fit.
fn widths(head: &[Vec<Word>], rows: &[Vec<Vec<Word>>], room: usize) -> Vec<usize> {
    let natural = |cell: &Vec<Word>| cell.iter().map(|word| word.width() + 1).sum::<usize>().saturating_sub(1);
    let column = |place: usize| {
        let cells = rows.iter().filter_map(|row| row.get(place));
        std::iter::once(&head[place]).chain(cells).map(natural).max().unwrap_or(0).clamp(1, room)
    };
    let mut widths: Vec<usize> = (0..head.len()).map(column).collect();
    while widths.iter().sum::<usize>() > room {
        if let Some(widest) = widths.iter_mut().max() {
            *widest -= 1;
        }
    }
    widths
}

fn row_lines(cells: &[Vec<Word>], widths: &[usize]) -> Vec<Line> {
    let cells: Vec<Vec<Line>> = cells.iter().zip(widths).map(|(cell, wide)| wrap(cell, *wide)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let line = |row: usize| {
        let mut out = Line::default();
        for (place, (cell, wide)) in cells.iter().zip(widths).enumerate() {
            if place > 0 {
                out.push(" | ", Weight::DIM);
            }
            let used = cell.get(row).map_or(0, |line| {
                out.append(line);
                line.width()
            });
            out.push(&" ".repeat(wide.saturating_sub(used)), Weight::PLAIN);
        }
        out
    };
    (0..height).map(line).collect()
}

fn as_list(head: &[Vec<Word>], rows: &[Vec<Vec<Word>>], width: usize) -> Vec<Line> {
    let mut out = Vec::new();
    for row in rows {
        if !out.is_empty() {
            out.push(Line::default());
        }
        for (name, cell) in head.iter().zip(row) {
            let mut text = name.clone();
            text.extend(cell.iter().cloned());
            out.extend(labelled("-", &text, 2, width.max(2 * NARROWEST)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::render::plain;
    use super::*;

    fn cells(row: &[&str]) -> Vec<Vec<Inline>> {
        row.iter().map(|cell| vec![Inline::Text((*cell).into())]).collect()
    }

    #[test]
    fn a_table_that_fits_stands_on_one_line_a_row() {
        let rows = [cells(&["weights", "yes"]), cells(&["data", "no"])];
        assert_eq!(
            plain(&lines(&cells(&["Published", "Open"]), &rows, 40)),
            "Published | Open\n----------+-----\nweights   | yes\ndata      | no\n"
        );
    }

    #[test]
    fn cells_wrap_in_a_table_that_is_too_wide() {
        let rows = [cells(&["one", "a long explanation of it"]), cells(&["two", "b"])];
        assert_eq!(
            plain(&lines(&cells(&["Word", "Meaning"]), &rows, 22)),
            "\
Word | Meaning
-----+----------------
one  | a long
     | explanation of
     | it
-----+----------------
two  | b
"
        );
    }

    /// Row 40 of the table of faults.
    #[test]
    fn two_thousand_columns_become_a_list() {
        let wide: Vec<&str> = vec!["x"; 2000];
        let shown = lines(&cells(&wide), &[cells(&wide)], 40);
        assert_eq!(shown.len(), 2000);
    }
}
