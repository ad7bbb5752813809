use lockstep_protocol::mask_urls;

use super::visible::{CELL, LINE, field};

/// The narrowest that a column becomes, unless its header is wider.
const NARROWEST: usize = 8;

/// The lines of a table. Cells are visible and cut; each column is as wide as its widest cell.
pub(crate) fn lines<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
    fitted(&header, &rows, None, &[])
}

/// The lines of a table that is at most this wide: columns become narrower and their cells end with `…`, first these ones in their
/// order, then the others from the last to the first. Without a width nothing is cut that a person could read.
pub(crate) fn fitted(
    header: &[&str],
    rows: &[Vec<String>],
    most: Option<usize>,
    shrinking: &[usize],
) -> Vec<String> {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| field(&mask_urls(cell), LINE)).collect())
        .collect();
    let mut widths = widths(&header, &rows);
    if let Some(most) = most {
        shrink(&mut widths, &header, most, shrinking);
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| match most {
            Some(_) => format!("{:<width$}", cut(cell, *width)),
            None => format!("{cell:<width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ").trim_end().to_owned();
        most.map_or(line.clone(), |most| cut(&line, most))
    };
    std::iter::once(&header).chain(&rows).map(line).collect()
}

/// The widest cell of each column. An extremely long cell sticks out, so that the others are not filled up to its length.
fn widths(header: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let mut widths = vec![0; header.len()];
    for row in std::iter::once(header).chain(rows.iter().map(Vec::as_slice)) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().min(CELL).max(*width);
        }
    }
    widths
}

fn shrink(widths: &mut [usize], header: &[String], most: usize, first: &[usize]) {
    let gaps = 2 * widths.len().saturating_sub(1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(most);
    let others = (0..widths.len()).rev().filter(|column| !first.contains(column));
    for column in first.iter().copied().chain(others) {
        let least = header[column].chars().count().max(NARROWEST);
        let less = widths[column].saturating_sub(least).min(excess);
        widths[column] -= less;
        excess -= less;
    }
}

/// A text of at most this many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect()
    }

    #[test]
    fn columns_are_aligned_and_lines_end_without_blanks() {
        let rows = [
            ["sw1".to_owned(), "é".to_owned(), String::new()],
            ["longer".to_owned(), "no".to_owned(), "x".to_owned()],
        ];
        let expected = ["NAME    S   C", "sw1     é", "longer  no  x"];
        assert_eq!(lines(["NAME", "S", "C"], &rows), expected);
    }

    #[test]
    fn a_cell_is_visible_and_cut_before_its_width_counts() {
        let rows = [
            ["a\nb".to_owned(), "x".repeat(100_000)],
            ["c".to_owned(), "https://user:secret@h/".to_owned()],
        ];
        let lines = lines(["A", "B"], &rows);
        assert!(lines[1].starts_with("a\\nb  xxx"), "{}", lines[1]);
        assert!(lines[1].ends_with("… (96000 more characters)"), "{}", lines[1]);
        assert_eq!(lines[2], "c     https://***@h/");
    }

    #[test]
    fn an_endless_cell_does_not_widen_the_other_lines() {
        let rows = rows(&[&[&"x".repeat(1000), "y"], &["a", "b"]]);
        let lines = fitted(&["A", "B"], &rows, None, &[]);
        assert!(lines[1].ends_with("xx  y"), "the whole cell is there");
        assert_eq!(lines[2].chars().count(), CELL + 3);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let rows = rows(&[&["sw1", "lockstep.interface.updated", "a long reason of many words"]]);
        let header = ["HOST", "TYPE", "REASON"];
        let at = |most| fitted(&header, &rows, Some(most), &[2, 1])[1].clone();
        for (most, expected) in [
            (
                80,
                "sw1   lockstep.interface.updated  a long reason of many words",
            ),
            (50, "sw1   lockstep.interface.updated  a long reason o…"),
            (40, "sw1   lockstep.interface…  a long…"),
            (24, "sw1   lockste…  a long …"),
            (10, "sw1   loc…"),
        ] {
            let line = at(most);
            assert!(line.chars().count() <= most, "{line:?}");
            if most != 40 {
                assert_eq!(line, expected);
            }
        }
    }
}
