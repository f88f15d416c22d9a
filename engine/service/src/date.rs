//! RFC 5322 §3.3 dates in UTC, for trace lines.

use engine_types::UnixMillis;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY_MS: u64 = 86_400_000;
/// 9999-12-31T23:59:59Z: RFC 5322 years beyond have five digits, which no client reads.
const LAST_MS: u64 = 253_402_300_799_000;

/// `Thu, 1 Jan 1970 00:00:00 +0000`
pub(crate) fn rfc5322(at: UnixMillis) -> String {
    let ms = at.0.min(LAST_MS);
    let days = ms / DAY_MS;
    let seconds = ms % DAY_MS / 1_000;
    let (year, month, day) = civil(days);
    format!(
        "{}, {day} {} {year:04} {:02}:{:02}:{:02} +0000",
        DAYS[(days % 7) as usize],
        MONTHS[month],
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// In UTC.
pub(crate) fn year(at: UnixMillis) -> u64 {
    civil(at.0.min(LAST_MS) / DAY_MS).0
}

/// Days since 1970-01-01 → (year, month from 0, day from 1) in the Gregorian calendar.
fn civil(days: u64) -> (u64, usize, u64) {
    let leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    // 400 years have 146,097 days: the loops below run over less than 400 years and 12 months.
    let mut year = 1970 + days / 146_097 * 400;
    let mut rest = days % 146_097;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while rest >= lengths[month] {
        rest -= lengths[month];
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, expect: &str) {
        assert_eq!(rfc5322(UnixMillis(seconds * 1_000 + 999)), expect);
    }

    #[test]
    fn known_dates() {
        check(0, "Thu, 1 Jan 1970 00:00:00 +0000");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000");
        check(951_868_800, "Wed, 1 Mar 2000 00:00:00 +0000");
        check(1_000_000_000, "Sun, 9 Sep 2001 01:46:40 +0000");
        check(1_234_567_890, "Fri, 13 Feb 2009 23:31:30 +0000");
        check(4_107_542_399, "Sun, 28 Feb 2100 23:59:59 +0000");
        check(4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000");
        check(u64::MAX / 2_000, "Fri, 31 Dec 9999 23:59:59 +0000");
    }
}
