use super::{assert_reported, problems, read};

#[test]
fn an_identity_provider_needs_a_client_a_secret_and_a_role() {
    let whole = "[console.oidc]\nissuer = 'https://id.example.org'\nclient_id = 'lockstep'\nclient_secret = 'hush-of-the-client'\n\
                 redirect_uri = 'https://lockstep.example.org/login/oidc/callback'\n\
                 [[console.oidc.roles]]\nvalue = 'net-ops'\nrole = 'operator'\ngroups = ['oslo']\n";
    let config = read(whole, &[]).unwrap();
    assert!(!config.effective.to_string().contains("hush"));
    let oidc = config.console.oidc.unwrap();
    assert_eq!(
        (oidc.principal_claim.as_str(), oidc.share_principals),
        ("sub", false)
    );
    assert_eq!(oidc.roles[0].limits.groups.len(), 1);
    assert_reported(
        &problems("[console.oidc]\nname = 'x'", &[]),
        &[
            "console.oidc.issuer: is missing",
            "console.oidc.client_id: is missing",
            "console.oidc.redirect_uri: is missing",
            "console.oidc.client_secret: is missing",
            "console.oidc.roles: has no entry",
        ],
    );
    for (from, to, expected) in [
        (
            "'https://id.example.org'",
            "'http://id.example.org'",
            "without TLS",
        ),
        (
            "/login/oidc/callback",
            "/login",
            "must be the address of the console",
        ),
        ("'hush-of-the-client'", "'hush'", "shorter than 16 characters"),
        (
            "role = 'operator'",
            "role = 'root'",
            "viewer, operator, approver or admin",
        ),
        ("role = 'operator'", "", "each entry has a value and a role"),
        ("['oslo']", "['']", "console.oidc.roles[0].groups"),
        (
            "client_id =",
            "algorithms = ['HS256']\nclient_id =",
            "sign with no key or a shared one",
        ),
        ("client_id =", "algorithms = []\nclient_id =", "name at least one"),
    ] {
        let problems = problems(&whole.replacen(from, to, 1), &[]);
        assert!(
            problems
                .iter()
                .any(|problem| problem.contains(expected) && !problem.contains("hush-of")),
            "{to}: {problems:?}"
        );
    }
}
