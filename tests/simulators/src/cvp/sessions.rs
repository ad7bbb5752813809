use std::collections::HashMap;

/// The open sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// Remaining requests of each session.
    open: HashMap<String, Option<u32>>,
    logins: usize,
}

impl Sessions {
    /// Opens a session that expires after this number of requests.
    pub(crate) fn begin(&mut self, requests: Option<u32>) -> String {
        self.logins += 1;
        let id = format!(
            "session_{}_{}",
            self.logins,
            4_294_967_291_u64 - self.logins as u64 * 48_271
        );
        self.open.insert(id.clone(), requests);
        id
    }

    /// Whether the session is open. Uses up one of its requests.
    pub(crate) fn admit(&mut self, id: &str) -> bool {
        match self.open.get_mut(id) {
            None => false,
            Some(None) => true,
            Some(Some(0)) => {
                self.open.remove(id);
                false
            }
            Some(Some(remaining)) => {
                *remaining -= 1;
                true
            }
        }
    }

    pub(crate) fn end(&mut self, id: &str) {
        self.open.remove(id);
    }

    pub(crate) fn expire_all(&mut self) {
        self.open.clear();
    }

    pub(crate) fn logins(&self) -> usize {
        self.logins
    }

    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_good_for_its_requests_and_no_longer() {
        let mut sessions = Sessions::default();
        let (short, long) = (sessions.begin(Some(2)), sessions.begin(None));
        assert_eq!([0; 4].map(|_| sessions.admit(&short)), [true, true, false, false]);
        assert!(sessions.admit(&long) && !sessions.admit("session_0_0"));
        sessions.expire_all();
        assert!(!sessions.admit(&long));
        assert_eq!((sessions.logins(), sessions.open()), (2, 0));
    }
}
