//! Tables as terminal text: columns shrink and cells wrap; what does not fit becomes a list.

use std::ops::Range;

use crate::content::Inline;

use super::render::{Page, Weight, Words, columns};

/// A column is at least this wide before a table is written as a list instead.
const NARROWEST: usize = 6;
/// What stands between two columns.
const BETWEEN: &str = " | ";

/// Writes a table onto a page.
pub fn write(head: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>], page: &mut Page) {
    let head: Vec<Words> = head.iter().map(|cell| Words::of(cell, Weight::BOLD)).collect();
    let rows: Vec<Vec<Words>> =
        rows.iter().map(|row| row.iter().map(|cell| Words::of(cell, Weight::PLAIN)).collect()).collect();
    let room = page.width().saturating_sub(BETWEEN.len() * head.len().saturating_sub(1));
    if head.is_empty() || room < NARROWEST * head.len() {
        return write_list(&head, &rows, page);
    }
    let widths = widths(&head, &rows, room);
    let rule = widths.iter().map(|wide| "-".repeat(*wide)).collect::<Vec<_>>().join("-+-");
    write_row(&head, &widths, page);
    page.line(&rule, Weight::DIM);
    // Rows of several lines run into each other without a rule between.
    let has_rules = rows.iter().any(|row| row.iter().zip(&widths).any(|(cell, wide)| cell.width() > *wide));
    for (place, row) in rows.iter().enumerate() {
        if has_rules && place > 0 {
            page.line(&rule, Weight::DIM);
        }
        write_row(row, &widths, page);
    }
}

/// The widest columns give way until all fit.
fn widths(head: &[Words], rows: &[Vec<Words>], room: usize) -> Vec<usize> {
    let column = |place: usize| {
        let cells = rows.iter().filter_map(|row| row.get(place));
        std::iter::once(&head[place]).chain(cells).map(Words::width).max().unwrap_or(0).clamp(1, room)
    };
    let mut widths: Vec<usize> = (0..head.len()).map(column).collect();
    while widths.iter().sum::<usize>() > room {
        if let Some(widest) = widths.iter_mut().max() {
            *widest -= 1;
        }
    }
    widths
}

fn write_row(cells: &[Words], widths: &[usize], page: &mut Page) {
    let lines: Vec<Vec<Range<usize>>> = cells.iter().zip(widths).map(|(cell, wide)| cell.lines(*wide)).collect();
    let height = lines.iter().map(Vec::len).max().unwrap_or(0).max(1);
    for row in 0..height {
        page.begin();
        for (place, ((cell, lines), wide)) in cells.iter().zip(&lines).zip(widths).enumerate() {
            if place > 0 {
                page.run(BETWEEN, Weight::DIM);
            }
            let used = lines.get(row).map_or(0, |line| {
                page.part(cell, line.clone());
                columns(cell.text(line.clone()))
            });
            page.run(&" ".repeat(wide.saturating_sub(used)), Weight::PLAIN);
        }
        page.end();
    }
}

fn write_list(head: &[Words], rows: &[Vec<Words>], page: &mut Page) {
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            page.gap();
        }
        for (name, cell) in head.iter().zip(row) {
            let mut words = name.clone();
            words.append(cell);
            page.nested("- ", "  ", |page| page.words(&words));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(row: &[&str]) -> Vec<Vec<Inline>> {
        row.iter().map(|cell| vec![Inline::Text((*cell).into())]).collect()
    }

    fn shown(head: &[&str], rows: &[Vec<Vec<Inline>>], width: usize) -> String {
        let mut page = Page::new(width, false);
        write(&cells(head), rows, &mut page);
        page.into_text()
    }

    #[test]
    fn a_table_that_fits_stands_on_one_line_a_row() {
        let rows = [cells(&["weights", "yes"]), cells(&["data", "no"])];
        assert_eq!(
            shown(&["Published", "Open"], &rows, 40),
            "Published | Open\n----------+-----\nweights   | yes\ndata      | no\n"
        );
    }

    #[test]
    fn cells_wrap_in_a_table_that_is_too_wide() {
        let rows = [cells(&["one", "a long explanation of it"]), cells(&["two", "b"])];
        assert_eq!(
            shown(&["Word", "Meaning"], &rows, 22),
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
        let wide = vec!["x"; 2000];
        assert_eq!(shown(&wide, &[cells(&wide)], 40).lines().count(), 2000);
    }
}
