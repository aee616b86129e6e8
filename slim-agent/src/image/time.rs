//! Modification times, as layers carry them.

/// A moment: `seconds` since 1970, rounded down, and what is left of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds since 1970; negative before.
    pub seconds: i64,
    /// Below 1,000,000,000.
    pub nanoseconds: u32,
}

/// A second in nanoseconds.
const SECOND: u32 = 1_000_000_000;
/// The last second that the engines unpack: nanoseconds since 1970 have 63 bits there.
const LAST_UNPACKED: i64 = i64::MAX / SECOND as i64;

impl Time {
    /// The beginning of a second.
    pub const fn whole(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }

    /// Whether engines unpack it as it is. Of anything else they make 1970.
    pub(super) fn is_unpacked_as_it_is(self) -> bool {
        (0..=LAST_UNPACKED).contains(&self.seconds)
    }

    /// Reads a PAX time such as `12.5` or `-0.5`; digits below nanoseconds are cut off, as the engines do.
    pub(super) fn from_pax(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?;
        let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
        let seconds = whole.parse::<i64>().ok()?;
        if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let nanoseconds = format!("{fraction:0<9.9}").parse::<u32>().ok()?;
        if whole.starts_with('-') && nanoseconds > 0 {
            return Some(Self { seconds: seconds.checked_sub(1)?, nanoseconds: SECOND - nanoseconds });
        }
        Some(Self { seconds, nanoseconds })
    }

    /// The PAX spelling; `None` for what a header's own field holds.
    pub(crate) fn to_pax(self) -> Option<String> {
        let Self { seconds, nanoseconds } = self;
        match (seconds < 0, nanoseconds) {
            (false, 0) => None,
            (true, 0) => Some(seconds.to_string()),
            (false, fraction) => Some(spelled("", seconds.unsigned_abs(), fraction)),
            (true, fraction) => Some(spelled("-", seconds.unsigned_abs() - 1, SECOND - fraction)),
        }
    }

    /// What a header's own field holds of it.
    pub(crate) fn to_field(self) -> u64 {
        u64::try_from(self.seconds).unwrap_or(0)
    }
}

fn spelled(sign: &str, seconds: u64, nanoseconds: u32) -> String {
    format!("{sign}{seconds}.{nanoseconds:09}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_both_sides_of_1970() {
        let time = |seconds, nanoseconds| Some(Time { seconds, nanoseconds });
        assert_eq!(Time::from_pax(b"12.75"), time(12, 750_000_000));
        assert_eq!(Time::from_pax(b"12.1234567899"), time(12, 123_456_789));
        assert_eq!(Time::from_pax(b"-1.5"), time(-2, 500_000_000));
        assert_eq!(Time::from_pax(b"-0.25"), time(-1, 750_000_000));
        for bad in [&b"1.2.3"[..], b"", b".5", b"1.+5", b"1. 5", "1.€€€€€€€€€€".as_bytes(), b"soon"]
        {
            assert_eq!(Time::from_pax(bad), None);
        }
        let lowest = format!("{}.5", i64::MIN);
        assert_eq!(Time::from_pax(lowest.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds: i64, nanoseconds in 0..SECOND) {
            let time = Time { seconds, nanoseconds };
            match time.to_pax() {
                Some(text) => prop_assert_eq!(Time::from_pax(text.as_bytes()), Some(time)),
                None => prop_assert_eq!(Time::whole(time.to_field().cast_signed()), time),
            }
        }

        #[test]
        fn no_spelling_is_fatal(value: Vec<u8>) {
            let _ = Time::from_pax(&value);
        }
    }
}
