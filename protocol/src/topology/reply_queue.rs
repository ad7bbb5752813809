use super::REPLY_PREFIX;

/// The name of a reply queue: `lockstep.reply.USER.RANDOM`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplyQueue(String);

/// The text cannot name a reply queue.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no reply queue: it must begin with `lockstep.reply.` and have at most 255 bytes")]
pub struct ReplyQueueError(pub String);

impl ReplyQueue {
    /// The reply queue of this user with this random part.
    ///
    /// # Errors
    /// When the name would be too long.
    pub fn of(user: &str, random: &str) -> Result<Self, ReplyQueueError> {
        Self::try_from(format!("{REPLY_PREFIX}{user}.{random}"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ReplyQueue {
    type Error = ReplyQueueError;

    fn try_from(text: String) -> Result<Self, ReplyQueueError> {
        let named = text.len() > REPLY_PREFIX.len() && text.starts_with(REPLY_PREFIX);
        if named && text.len() <= 255 && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(ReplyQueueError(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_can_aim_at_nothing_but_a_reply_queue() {
        assert!(ReplyQueue::try_from("lockstep.lane.commands".to_owned()).is_err());
        assert!(ReplyQueue::try_from("lockstep.reply.".to_owned()).is_err());
        assert_eq!(
            ReplyQueue::of("netbox", "x").unwrap().as_str(),
            "lockstep.reply.netbox.x"
        );
    }
}
