use super::visible::{CELL, field};

/// The lines of a table. Cells are visible and cut; each column is as wide as its widest cell.
pub(crate) fn lines<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let header = header.map(str::to_owned);
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| field(cell, CELL)))
        .collect();
    let width = |column: usize| {
        let cells = std::iter::once(&header).chain(&rows);
        cells
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(&header).chain(&rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ["c".to_owned(), String::new()],
        ];
        let lines = lines(["A", "B"], &rows);
        assert!(lines[1].starts_with("a\\nb  xxx"), "{}", lines[1]);
        assert!(lines[1].ends_with("… (99700 more characters)"), "{}", lines[1]);
        assert_eq!(lines[2], "c");
    }
}
