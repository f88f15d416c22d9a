//! Dates of IMAP: INTERNALDATE's `date-time` and SEARCH's `date` (RFC 3501 §9), without a time zone database.

use engine_types::UnixMillis;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY_MS: i64 = 86_400_000;

/// Days since 1970-01-01 of a civil date (proleptic Gregorian).
pub fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let shifted = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month, day of a day since 1970-01-01.
pub fn civil_of(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The day as the given zone (minutes east) has it.
pub fn day_in_zone(at: UnixMillis, zone: i32) -> i64 {
    (i64::try_from(at.0).unwrap_or(i64::MAX / 2) + i64::from(zone) * 60_000).div_euclid(DAY_MS)
}

/// `"17-Jul-1996 02:44:25 -0700"`, without the quotes.
pub fn show_date_time(at: UnixMillis, zone: i32) -> String {
    let local = i64::try_from(at.0).unwrap_or(i64::MAX / 2) + i64::from(zone) * 60_000;
    let (year, month, day) = civil_of(local.div_euclid(DAY_MS));
    let seconds = local.rem_euclid(DAY_MS) / 1_000;
    format!(
        "{day:02}-{}-{:04} {:02}:{:02}:{:02} {}{:02}{:02}",
        MONTHS[month as usize - 1],
        year.clamp(0, 9_999),
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        if zone < 0 { '-' } else { '+' },
        zone.unsigned_abs() / 60 % 100,
        zone.unsigned_abs() % 60,
    )
}

/// `2026-11-24T07:44:00Z`, for texts.
pub fn show_utc(at: UnixMillis) -> String {
    let at = i64::try_from(at.0).unwrap_or(i64::MAX / 2);
    let (year, month, day) = civil_of(at.div_euclid(DAY_MS));
    let seconds = at.rem_euclid(DAY_MS) / 1_000;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// `1-Feb-1994`: days since 1970-01-01.
pub fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let day = number(parts.next()?.trim_start(), 1, 2)?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(name))? as u32 + 1;
    let year = i64::from(number(parts.next()?, 4, 4)?);
    let days = days_of(year, month, day);
    (civil_of(days) == (year, month, day)).then_some(days)
}

/// ` 1-Feb-1994 01:02:03 +0100`; before 1970 is 1970, since log time has no sign.
pub fn parse_date_time(text: &str) -> Option<(UnixMillis, i32)> {
    let mut parts = text.trim_start().split(' ');
    let days = parse_date(parts.next()?)?;
    let mut time = parts.next()?.split(':');
    let hour = number(time.next()?, 2, 2).filter(|&h| h < 24)?;
    let minute = number(time.next()?, 2, 2).filter(|&m| m < 60)?;
    let second = number(time.next()?, 2, 2).filter(|&s| s <= 60)?;
    let zone = parts.next()?;
    if time.next().is_some() || parts.next().is_some() || zone.len() != 5 {
        return None;
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let offset = number(zone.get(1..)?, 4, 4)?;
    let (hours, minutes) = ((offset / 100) as i32, (offset % 100) as i32);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let zone = sign * (hours * 60 + minutes);
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    let millis = days * DAY_MS + seconds * 1_000 - i64::from(zone) * 60_000;
    Some((UnixMillis(u64::try_from(millis).unwrap_or(0)), zone))
}

fn number(text: &str, least: usize, most: usize) -> Option<u32> {
    let digits = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<(u64, i32)>) {
        let parsed = parse_date_time(text);
        assert_eq!(parsed.map(|(at, zone)| (at.0, zone)), expect, "{text}");
        if let Some((at, zone)) = parsed {
            assert_eq!(show_date_time(at, zone), text);
        }
    }

    #[test]
    fn date_times() {
        check("17-Jul-1996 02:44:25 -0700", Some((837_596_665_000, -420)));
        check("01-Jan-1970 00:00:00 +0000", Some((0, 0)));
        check("29-Feb-2000 23:59:59 +1400", Some((951_818_399_000, 840)));
        check("29-Feb-1900 00:00:00 +0000", None);
        check("31-Apr-2020 00:00:00 +0000", None);
        check("01-Jan-2020 24:00:00 +0000", None);
        check("01-Jan-2020 00:00 +0000", None);
        check("01-Jan-2020 00:00:00 0000", None);
        check("01-Jän-2020 00:00:00 +0000", None);
        check("01-Jan-2020 00:00:00 +é00", None);
        check("", None);
    }

    #[test]
    fn every_day_there_and_back() {
        for day in -200_000..200_000 {
            let (year, month, date) = civil_of(day);
            assert_eq!(days_of(year, month, date), day);
        }
    }
}
