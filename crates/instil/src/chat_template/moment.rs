//! A moment as a clock on the wall shows it, and Python's `strftime` of it.

/// The names of the days, from Sunday.
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// The names of the months.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The last second of the year 9999, beyond which Python has no dates.
const LATEST: i64 = 253_402_300_799;
/// The first second of the year 1.
const EARLIEST: i64 = -62_135_596_800;

/// A moment in local time, which is what `strftime_now` of a chat template shows.
///
/// transformers asks `datetime.now()`, so that the text depends on the clock and the time zone of the
/// machine. This library asks neither: who renders says which moment it is, and which offset holds there. As
/// with `datetime.now()`, `%z` and `%Z` are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970 on the local clock.
    local: i64,
    /// By how many seconds the local clock is ahead of UTC.
    offset: i32,
    microsecond: u32,
}

impl Moment {
    /// So many seconds after 1970-01-01 00:00 UTC, at a place whose clock is `offset` seconds ahead of UTC.
    /// What lies outside the years 1 to 9999 is taken to be their nearer end.
    pub fn new(seconds: i64, offset: i32) -> Self {
        let local = seconds.saturating_add(i64::from(offset)).clamp(EARLIEST, LATEST);
        Self { local, offset, microsecond: 0 }
    }

    /// The same moment with a fraction of its second, below 1,000,000.
    #[must_use]
    pub fn with_microsecond(self, microsecond: u32) -> Self {
        Self { microsecond: microsecond.min(999_999), ..self }
    }

    /// Python's `strftime` under Linux in the locale C.
    ///
    /// ```
    /// let moment = instil::chat_template::Moment::new(1_722_470_400, 0);
    /// assert_eq!(moment.strftime("%d %b %Y, %H:%M"), "01 Aug 2024, 00:00");
    /// ```
    pub fn strftime(&self, format: &str) -> String {
        let mut text = String::with_capacity(format.len() + 16);
        self.write_to(&mut text, format);
        text
    }

    /// Year, month from 1, day from 1.
    fn date(&self) -> (i64, usize, i64) {
        // Howard Hinnant's `civil_from_days`: the year begins in March, so that the leap day is its last.
        let days = self.days() + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, carried) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        (era * 400 + year_of_era + carried, usize::try_from(month).unwrap_or(1), day)
    }

    /// Days since 1970-01-01.
    fn days(&self) -> i64 {
        self.local.div_euclid(86_400)
    }

    /// The day of the week, Sunday is 0.
    fn weekday(&self) -> i64 {
        (self.days() + 4).rem_euclid(7)
    }

    /// The day of the year, from 0.
    fn day_of_year(&self, year: i64, month: usize, day: i64) -> i64 {
        const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let leap = is_leap(year) && month > 2;
        BEFORE.get(month - 1).copied().unwrap_or(0) + day - 1 + i64::from(leap)
    }

    /// Year and week as ISO 8601 counts them.
    fn iso_week(&self, year: i64, day_of_year: i64) -> (i64, i64) {
        // Days since Monday.
        let weekday = (self.weekday() + 6) % 7;
        let week = (day_of_year - weekday + 10) / 7;
        // A year has 53 weeks if it ends on a Thursday, or its predecessor on a Wednesday.
        let ends_on =
            |year: i64| (year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400)) % 7;
        let weeks = |year: i64| if ends_on(year) == 4 || ends_on(year - 1) == 3 { 53 } else { 52 };
        if week < 1 {
            (year - 1, weeks(year - 1))
        } else if week > weeks(year) {
            (year + 1, 1)
        } else {
            (year, week)
        }
    }

    fn write_to(&self, out: &mut String, format: &str) {
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let flags =
                rest[1..].find(|c| !matches!(c, '-' | '_' | '0' | '^' | '#')).unwrap_or(rest.len() - 1);
            let (flags, after) = rest[1..].split_at(flags);
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (width, after) = after.split_at(digits);
            // Alternative calendars and digits are the same in this locale.
            let after = after.strip_prefix(['E', 'O']).unwrap_or(after);
            let Some(directive) = after.chars().next() else {
                // glibc leaves what isn't finished as it is.
                out.push_str(rest);
                return;
            };
            let length = rest.len() - after.len() + directive.len_utf8();
            let plain = length == 2;
            match self.directive(directive, plain) {
                Some(shown) => shown.write_to(out, flags, width.parse().ok()),
                None => out.push_str(&rest[..length]),
            }
            rest = &rest[length..];
        }
        out.push_str(rest);
    }

    /// What a directive shows. Python itself reads `%f`, `%z` and `%Z`, where no flag stands between.
    fn directive(&self, directive: char, plain: bool) -> Option<Shown> {
        let (year, month, day) = self.date();
        let seconds = self.local.rem_euclid(86_400);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
        let weekday = self.weekday();
        let day_name = usize::try_from(weekday).ok().and_then(|at| DAYS.get(at)).copied().unwrap_or_default();
        let month_name = MONTHS.get(month - 1).copied().unwrap_or_default();
        let day_of_year = self.day_of_year(year, month, day);
        let half = if hour < 12 { "AM" } else { "PM" };
        let number = |number, width| Some(Shown::Number { number, width, pad: '0' });
        let blank = |number| Some(Shown::Number { number, width: 2, pad: ' ' });
        let text = |text: &str| Some(Shown::Text(text.to_owned()));
        let made = |format: &str| Some(Shown::Text(self.strftime(format)));
        match directive {
            'a' => text(&day_name[..3]),
            'A' => text(day_name),
            'b' | 'h' => text(&month_name[..3]),
            'B' => text(month_name),
            'c' => made("%a %b %e %H:%M:%S %Y"),
            'C' => number(year / 100, 2),
            'd' => number(day, 2),
            'D' | 'x' => made("%m/%d/%y"),
            'e' => blank(day),
            'f' if plain => number(self.microsecond.into(), 6),
            'F' => made("%Y-%m-%d"),
            'g' => number(self.iso_week(year, day_of_year).0 % 100, 2),
            'G' => number(self.iso_week(year, day_of_year).0, 1),
            'H' => number(hour, 2),
            'I' => number(hour12, 2),
            'j' => number(day_of_year + 1, 3),
            'k' => blank(hour),
            'l' => blank(hour12),
            'm' => number(i64::try_from(month).unwrap_or(1), 2),
            'M' => number(minute, 2),
            'n' => text("\n"),
            'p' => Some(Shown::Half(half)),
            'P' => text(&half.to_lowercase()),
            'r' => made("%I:%M:%S %p"),
            'R' => made("%H:%M"),
            's' => number(self.local - i64::from(self.offset), 1),
            'S' => number(second, 2),
            't' => text("\t"),
            'T' | 'X' => made("%H:%M:%S"),
            'u' => number(if weekday == 0 { 7 } else { weekday }, 1),
            'U' => number((day_of_year + 7 - weekday) / 7, 2),
            'V' => number(self.iso_week(year, day_of_year).1, 2),
            'w' => number(weekday, 1),
            'W' => number((day_of_year + 7 - (weekday + 6) % 7) / 7, 2),
            'y' => number(year % 100, 2),
            'Y' => number(year, 1),
            'z' | 'Z' if plain => text(""),
            '%' => text("%"),
            _ => None,
        }
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// What a directive shows, before its flags.
enum Shown {
    Number {
        number: i64,
        width: usize,
        pad: char,
    },
    Text(String),
    /// Of the day: `#` makes it small, other texts large.
    Half(&'static str),
}

impl Shown {
    /// Writes it under glibc's flags: `-` without padding, `_` with blanks, `0` with zeros, `^` in capitals, `#`
    /// in the other case.
    fn write_to(self, out: &mut String, flags: &str, width: Option<usize>) {
        let flag = flags.chars().rev().find(|flag| matches!(flag, '-' | '_' | '0'));
        let (shown, padded, pad) = match self {
            Self::Number { number, width: own, pad } => {
                let (own, pad) = if flag == Some('-') { (0, ' ') } else { (own, pad) };
                (number.to_string(), width.unwrap_or(own), pad)
            }
            Self::Text(text) if flags.contains(['^', '#']) => (text.to_uppercase(), width.unwrap_or(0), ' '),
            Self::Text(text) => (text, width.unwrap_or(0), ' '),
            Self::Half(half) if flags.contains('#') => (half.to_lowercase(), width.unwrap_or(0), ' '),
            Self::Half(half) => (half.to_owned(), width.unwrap_or(0), ' '),
        };
        let pad = match flag {
            Some('_') => ' ',
            Some('0') => '0',
            _ => pad,
        };
        // A template must not fill the memory.
        let missing = padded.min(1000).saturating_sub(shown.chars().count());
        (0..missing).for_each(|_| out.push(pad));
        out.push_str(&shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_python_s() {
        // What Python 3.11 under Linux shows of the same moments, `datetime.utcfromtimestamp(…).strftime(…)`.
        let every = "%a %A %b %B %c|%C %d %D %e %F %g %G %h %H %I %j %k %l %m %M %n%p %P %r %R %S%t%T %u %U %V %w %W %x %X %y %Y %z%Z%%";
        for (seconds, expected) in [
            (
                1709192103,
                "Thu Thursday Feb February Thu Feb 29 07:35:03 2024|20 29 02/29/24 29 2024-02-29 24 2024 Feb 07 07 060  7  7 02 35 \nAM am 07:35:03 AM 07:35 03\t07:35:03 4 08 09 4 09 02/29/24 07:35:03 24 2024 %",
            ),
            (
                978307199,
                "Sun Sunday Dec December Sun Dec 31 23:59:59 2000|20 31 12/31/00 31 2000-12-31 00 2000 Dec 23 11 366 23 11 12 59 \nPM pm 11:59:59 PM 23:59 59\t23:59:59 7 53 52 0 52 12/31/00 23:59:59 00 2000 %",
            ),
            (
                915148800,
                "Fri Friday Jan January Fri Jan  1 00:00:00 1999|19 01 01/01/99  1 1999-01-01 98 1998 Jan 00 12 001  0 12 01 00 \nAM am 12:00:00 AM 00:00 00\t00:00:00 5 00 53 5 00 01/01/99 00:00:00 99 1999 %",
            ),
            (
                1609675200,
                "Sun Sunday Jan January Sun Jan  3 12:00:00 2021|20 03 01/03/21  3 2021-01-03 20 2020 Jan 12 12 003 12 12 01 00 \nPM pm 12:00:00 PM 12:00 00\t12:00:00 7 01 53 0 00 01/03/21 12:00:00 21 2021 %",
            ),
            (
                1609416061,
                "Thu Thursday Dec December Thu Dec 31 12:01:01 2020|20 31 12/31/20 31 2020-12-31 20 2020 Dec 12 12 366 12 12 12 01 \nPM pm 12:01:01 PM 12:01 01\t12:01:01 4 52 53 4 52 12/31/20 12:01:01 20 2020 %",
            ),
            (
                -2203891200,
                "Thu Thursday Mar March Thu Mar  1 00:00:00 1900|19 01 03/01/00  1 1900-03-01 00 1900 Mar 00 12 060  0 12 03 00 \nAM am 12:00:00 AM 00:00 00\t00:00:00 4 08 09 4 09 03/01/00 00:00:00 00 1900 %",
            ),
            (
                4107503109,
                "Sun Sunday Feb February Sun Feb 28 13:05:09 2100|21 28 02/28/00 28 2100-02-28 00 2100 Feb 13 01 059 13  1 02 05 \nPM pm 01:05:09 PM 13:05 09\t13:05:09 7 09 08 0 08 02/28/00 13:05:09 00 2100 %",
            ),
            (
                1798416000,
                "Mon Monday Dec December Mon Dec 28 00:00:00 2026|20 28 12/28/26 28 2026-12-28 26 2026 Dec 00 12 362  0 12 12 00 \nAM am 12:00:00 AM 00:00 00\t00:00:00 1 52 53 1 52 12/28/26 00:00:00 26 2026 %",
            ),
            (
                1798945445,
                "Sun Sunday Jan January Sun Jan  3 03:04:05 2027|20 03 01/03/27  3 2027-01-03 26 2026 Jan 03 03 003  3  3 01 04 \nAM am 03:04:05 AM 03:04 05\t03:04:05 7 01 53 0 00 01/03/27 03:04:05 27 2027 %",
            ),
            (
                253402300799,
                "Fri Friday Dec December Fri Dec 31 23:59:59 9999|99 31 12/31/99 31 9999-12-31 99 9999 Dec 23 11 365 23 11 12 59 \nPM pm 11:59:59 PM 23:59 59\t23:59:59 5 52 52 5 52 12/31/99 23:59:59 99 9999 %",
            ),
            (
                91462865130,
                "Fri Friday May May Fri May  4 23:25:30 4868|48 04 05/04/68  4 4868-05-04 68 4868 May 23 11 125 23 11 05 25 \nPM pm 11:25:30 PM 23:25 30\t23:25:30 5 18 18 5 18 05/04/68 23:25:30 68 4868 %",
            ),
            (
                49547204735,
                "Sat Saturday Feb February Sat Feb  3 00:25:35 3540|35 03 02/03/40  3 3540-02-03 40 3540 Feb 00 12 034  0 12 02 25 \nAM am 12:25:35 AM 00:25 35\t00:25:35 6 04 05 6 05 02/03/40 00:25:35 40 3540 %",
            ),
            (
                119033512463,
                "Mon Monday Jan January Mon Jan  8 16:34:23 5742|57 08 01/08/42  8 5742-01-08 42 5742 Jan 16 04 008 16  4 01 34 \nPM pm 04:34:23 PM 16:34 23\t16:34:23 1 01 02 1 02 01/08/42 16:34:23 42 5742 %",
            ),
            (
                112476309373,
                "Tue Tuesday Mar March Tue Mar 27 03:16:13 5534|55 27 03/27/34 27 5534-03-27 34 5534 Mar 03 03 086  3  3 03 16 \nAM am 03:16:13 AM 03:16 13\t03:16:13 2 12 13 2 13 03/27/34 03:16:13 34 5534 %",
            ),
            (
                -17296297723,
                "Mon Monday Nov November Mon Nov 26 08:51:17 1421|14 26 11/26/21 26 1421-11-26 21 1421 Nov 08 08 330  8  8 11 51 \nAM am 08:51:17 AM 08:51 17\t08:51:17 1 47 48 1 48 11/26/21 08:51:17 21 1421 %",
            ),
            (
                69431247655,
                "Sat Saturday Mar March Sat Mar 10 09:40:55 4170|41 10 03/10/70 10 4170-03-10 70 4170 Mar 09 09 069  9  9 03 40 \nAM am 09:40:55 AM 09:40 55\t09:40:55 6 09 10 6 10 03/10/70 09:40:55 70 4170 %",
            ),
            (
                161955314502,
                "Fri Friday Feb February Fri Feb 28 19:21:42 7102|71 28 02/28/02 28 7102-02-28 02 7102 Feb 19 07 059 19  7 02 21 \nPM pm 07:21:42 PM 19:21 42\t19:21:42 5 08 09 5 08 02/28/02 19:21:42 02 7102 %",
            ),
            (
                169987439730,
                "Wed Wednesday Sep September Wed Sep  8 05:15:30 7356|73 08 09/08/56  8 7356-09-08 56 7356 Sep 05 05 252  5  5 09 15 \nAM am 05:15:30 AM 05:15 30\t05:15:30 3 36 37 3 36 09/08/56 05:15:30 56 7356 %",
            ),
            (
                114178009999,
                "Sat Saturday Feb February Sat Feb 27 17:53:19 5588|55 27 02/27/88 27 5588-02-27 88 5588 Feb 17 05 058 17  5 02 53 \nPM pm 05:53:19 PM 17:53 19\t17:53:19 6 08 08 6 08 02/27/88 17:53:19 88 5588 %",
            ),
            (
                -26843015021,
                "Mon Monday May May Mon May 19 22:56:19 1119|11 19 05/19/19 19 1119-05-19 19 1119 May 22 10 139 22 10 05 56 \nPM pm 10:56:19 PM 22:56 19\t22:56:19 1 20 21 1 20 05/19/19 22:56:19 19 1119 %",
            ),
        ] {
            assert_eq!(Moment::new(seconds, 0).strftime(every), expected, "{seconds}");
        }
    }

    #[test]
    fn flags_are_those_of_glibc() {
        let moment = Moment::new(1_709_192_103, 3600).with_microsecond(42);
        for (format, expected) in [
            ("%-d/%-m/%_H/%_m/%0e", "29/2/ 8/ 2/29"),
            ("%^a %#B %#p %^p", "THU FEBRUARY am AM"),
            ("%5d|%-5d|%_5d|%5a", "00029|   29|   29|  Thu"),
            ("%f %Ey %Od", "000042 24 29"),
            ("%Q 100% %", "%Q 100% %"),
            ("%s %z%Z.", "1709192103 ."),
            ("Ünï %d", "Ünï 29"),
        ] {
            assert_eq!(moment.strftime(format), expected, "{format}");
        }
    }
}
