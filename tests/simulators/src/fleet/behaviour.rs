/// How a device answers requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    #[default]
    Healthy,
    /// It accepts requests and answers none.
    Silent,
    /// It closes every connection.
    Unreachable,
    /// It answers every user with 401.
    RejectsLogin,
    /// It answers this HTTP status with a page of HTML, like a proxy whose agent is restarting.
    Status(u16),
    /// It answers bytes that are not JSON.
    Garbage,
    /// It answers the first half of the JSON.
    Truncated,
    /// It executes the commands and closes the connection without an answer.
    LosesAnswer,
    /// Its texts are in Latin-1, so that the JSON is not UTF-8.
    Latin1,
    /// Its texts are followed by this many bytes.
    Floods(usize),
}
