/// The lines of a table. Each column is as wide as its widest cell.
pub(super) fn lines<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let header = header.map(str::to_owned);
    let width = |column: usize| {
        let cells = std::iter::once(&header).chain(rows);
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
    std::iter::once(&header).chain(rows).map(line).collect()
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
}
