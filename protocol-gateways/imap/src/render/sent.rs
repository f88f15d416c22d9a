//! The day of the Date field, for SENTBEFORE, SENTON and SENTSINCE.

use crate::wire::date::{civil_of, days_of};
use engine_service::Content;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Days since 1970-01-01 of the day as it is written: time and zone are disregarded (RFC 3501 §6.4.4). `None` without
/// a Date that can be read.
pub fn sent_day(content: &Content) -> Option<i64> {
    let date = content.facts.envelope.as_ref()?.date.as_ref()?;
    day(&String::from_utf8_lossy(date))
}

/// `Tue, 1 Jan 2024 …` (RFC 5322 §3.3), with the short years of §4.3; the weekday is not looked at.
pub(super) fn day(date: &str) -> Option<i64> {
    let behind = date.split_once(',').map_or(date, |(_, behind)| behind);
    let mut words = behind
        .split([' ', '\t', '-'])
        .filter(|word| !word.is_empty())
        .skip_while(|word| !word.as_bytes()[0].is_ascii_digit());
    let day = number(words.next()?)?;
    let name = words.next()?.get(..3)?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|month| *month == name)? as u32 + 1;
    let word = words.next()?;
    let year = match (number(word)?, word.len()) {
        (year, 2) if year < 50 => year + 2_000,
        (year, 2 | 3) => year + 1_900,
        (year, _) => year,
    };
    let days = days_of(i64::from(year), month, day);
    (civil_of(days) == (i64::from(year), month, day)).then_some(days)
}

fn number(text: &str) -> Option<u32> {
    let digits = text.len() <= 4 && text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
