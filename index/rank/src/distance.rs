//! How many typos lie between two words.

/// Letters that were left out, added, changed, or exchanged with their neighbour, each once (optimal string alignment);
/// `None` above `most`.
pub fn typos(one: &[char], other: &[char], most: usize) -> Option<usize> {
    if one.len().abs_diff(other.len()) > most {
        return None;
    }
    let width = other.len() + 1;
    let mut before = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    let mut row = vec![0; width];
    for (at, letter) in one.iter().enumerate() {
        row[0] = at + 1;
        for (beside, with) in other.iter().enumerate() {
            let changed = last[beside] + usize::from(letter != with);
            let mut least = changed.min(last[beside + 1] + 1).min(row[beside] + 1);
            let exchanged =
                at > 0 && beside > 0 && letter == &other[beside - 1] && with == &one[at - 1];
            if exchanged {
                least = least.min(before[beside - 1] + 1);
            }
            row[beside + 1] = least;
        }
        if row.iter().min() > Some(&most) {
            return None;
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last.last().copied().filter(|found| *found <= most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows() {
        let check = |one: &str, other: &str, most: usize, expect: Option<usize>| {
            let letters = |text: &str| text.chars().collect::<Vec<char>>();
            let found = typos(&letters(one), &letters(other), most);
            assert_eq!(found, expect, "{one} {other}");
        };
        check("INVOICE", "INVOICE", 0, Some(0));
        check("INVOICE", "INVICE", 1, Some(1));
        check("INVOICE", "INVOIICE", 1, Some(1));
        check("INVOICE", "INVOISE", 1, Some(1));
        check("INVOICE", "INOVICE", 1, Some(1));
        check("INVOICE", "INOVISE", 1, None);
        check("INVOICE", "INOVISE", 2, Some(2));
        check("", "AB", 2, Some(2));
        check("ABC", "", 2, None);
    }

    proptest! {
        #[test]
        fn a_bound_only_hides(one in "[ab]{0,6}", other in "[ab]{0,6}", most in 0_usize..4) {
            let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
            let all = typos(&one, &other, 20);
            prop_assert_eq!(typos(&one, &other, most), all.filter(|found| *found <= most));
            prop_assert_eq!(typos(&other, &one, 20), all);
        }
    }
}
