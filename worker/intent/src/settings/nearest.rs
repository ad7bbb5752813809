/// The least similarity, from 0 to 1, of a mistyped word to the intended one.
const MIN_SIMILARITY: f64 = 0.8;

/// The most bytes of words that are compared, which takes as many steps as their product.
const MOST_COMPARED: usize = 48;

/// The known word that an unknown word is probably a misspelling of.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MOST_COMPARED {
        return None;
    }
    known
        .filter(|known| known.len() <= MOST_COMPARED)
        .map(|known| (strsim::normalized_damerau_levenshtein(word, known), known))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY.min(similarity_of_one_mistake(word)))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// One wrong character in a short word is a larger difference than [`MIN_SIMILARITY`] allows.
fn similarity_of_one_mistake(word: &str) -> f64 {
    let length = u32::try_from(word.chars().count()).unwrap_or(u32::MAX).max(3);
    1.0 - 1.0 / f64::from(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_recognised() {
        let known = ["ntp_servers", "radius_servers", "vrfs", "vxlans", "users"];
        let table = [
            ("ntp_server", Some("ntp_servers")),
            ("ntp_sevrers", Some("ntp_servers")),
            ("vrf", Some("vrfs")),
            ("vlxans", Some("vxlans")),
            ("user", Some("users")),
            ("racks", None),
            ("x", None),
            ("", None),
            (&"n".repeat(9_000_000), None),
        ];
        for (word, expected) in table {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
    }
}
