use std::fmt;

/// The release of CloudVision. Releases differ in their endpoints and in their errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// On-premises: year, release, patch.
    OnPremises(u16, u8, u8),
    /// CVaaS, which accepts only tokens.
    Cvaas,
}

impl Version {
    /// The release of the article.
    pub const SEED: Self = Self::OnPremises(2022, 2, 4);

    fn since(self, year: u16, release: u8) -> bool {
        self >= Self::OnPremises(year, release, 0)
    }

    /// Resource APIs under `/api/resources`, change controls among them.
    pub(crate) fn has_resources(self) -> bool {
        self.since(2021, 2)
    }

    /// `v3/searchTopology.do`.
    pub(crate) fn has_new_topology(self) -> bool {
        self.since(2021, 2)
    }

    /// Tokens of service accounts.
    pub(crate) fn has_tokens(self) -> bool {
        self.since(2020, 3)
    }

    /// An unknown address is an HTTP error, not 200 with an error inside.
    pub(crate) fn unknown_is_not_found(self) -> bool {
        self.since(2021, 2)
    }

    /// An expired session is HTTP 401, not 200 with an error inside.
    pub(crate) fn expired_is_unauthorized(self) -> bool {
        self.since(2018, 2)
    }

    /// The session is a cookie `access_token` for all paths, not `session_id` for `/web/`.
    pub(crate) fn has_token_cookie(self) -> bool {
        self.since(2018, 2)
    }

    /// New installations come with network provisioning.
    pub(crate) fn installs_provisioning(self) -> bool {
        self < Self::OnPremises(2025, 2, 0)
    }

    pub(crate) fn is_cvaas(self) -> bool {
        self == Self::Cvaas
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnPremises(year, release, patch) => write!(f, "{year}.{release}.{patch}"),
            Self::Cvaas => f.write_str("cvaas"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cvaas_is_newer_than_every_release() {
        let old = Version::OnPremises(2016, 1, 2);
        let seed = Version::SEED;
        assert!(!old.has_resources() && !old.expired_is_unauthorized() && old.installs_provisioning());
        assert!(seed.has_resources() && seed.has_tokens() && seed.installs_provisioning());
        assert!(!Version::OnPremises(2025, 2, 0).installs_provisioning());
        assert!(Version::Cvaas > Version::OnPremises(2030, 1, 0));
        assert_eq!(seed.to_string(), "2022.2.4");
    }
}
