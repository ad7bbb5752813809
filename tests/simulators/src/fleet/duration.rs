use std::time::Duration;

/// A time as EOS reads it after `commit timer`: `HH:MM:SS`, more than zero.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let [hours, minutes, seconds]: [&str; 3] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
    let number = |text: &str, below: u64| text.parse().ok().filter(|number: &u64| *number < below);
    let seconds = number(hours, 10_000)? * 3600 + number(minutes, 60)? * 60 + number(seconds, 60)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// A time as EOS shows it: `0:04:59`.
pub(crate) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_has_hours_minutes_and_seconds() {
        let table = [
            ("00:05:00", Some(300)),
            ("1:2:3", Some(3723)),
            ("00:00:00", None),
            ("300", None),
            ("00:61:00", None),
            ("00:-1:00", None),
        ];
        for (text, seconds) in table {
            assert_eq!(parse(text), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(show(Duration::from_secs(299)), "0:04:59");
    }
}
