use super::REPLY_PREFIX;

/// The name of a reply queue: `lockstep.reply.USER.RANDOM`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplyQueue(String);

/// The text is not a valid name of a reply queue.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a reply queue: the name must begin with `lockstep.reply.` and have at most 255 bytes")]
pub struct ReplyQueueError(pub String);

impl ReplyQueue {
    /// The reply queue of this user. The random part keeps other users from guessing the name.
    ///
    /// # Errors
    /// When the name would have more than 255 bytes or contain a control character.
    pub fn of(user: &str, random: &str) -> Result<Self, ReplyQueueError> {
        Self::try_from(format!("{REPLY_PREFIX}{user}.{random}"))
    }

    /// Whether this is a reply queue of the user: one part follows the user's name, which a topic permission can name exactly.
    pub fn belongs_to(&self, user: &str) -> bool {
        let own = self
            .0
            .strip_prefix(REPLY_PREFIX)
            .and_then(|rest| rest.strip_prefix(user));
        let random = own.and_then(|rest| rest.strip_prefix('.'));
        random.is_some_and(|random| !random.is_empty() && !random.contains(['.', '*', '#']))
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
    fn only_names_with_the_reply_prefix_are_reply_queues() {
        assert!(ReplyQueue::try_from("lockstep.lane.commands".to_owned()).is_err());
        assert!(ReplyQueue::try_from("lockstep.reply.".to_owned()).is_err());
        assert_eq!(
            ReplyQueue::of("netbox", "x").unwrap().as_str(),
            "lockstep.reply.netbox.x"
        );
    }

    #[test]
    fn a_reply_queue_belongs_to_the_user_whose_name_is_followed_by_one_part() {
        let table = [
            ("lockstep.reply.netbox.x", "netbox", true),
            ("lockstep.reply.net.box.x", "net.box", true),
            ("lockstep.reply.net.box.x", "net", false),
            ("lockstep.reply.netbox.x", "net", false),
            ("lockstep.reply.netbox.", "netbox", false),
            ("lockstep.reply.netbox", "netbox", false),
            ("lockstep.reply.netbox.*", "netbox", false),
            ("lockstep.reply.netbox.#", "netbox", false),
        ];
        for (queue, user, expected) in table {
            let queue = ReplyQueue::try_from(queue.to_owned()).unwrap();
            assert_eq!(queue.belongs_to(user), expected, "{queue:?} {user}");
        }
    }
}
