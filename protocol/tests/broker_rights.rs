//! The tables of permissions and policies in `docker/README.md` equal those of the code.

use lockstep_protocol::Kind;
use lockstep_protocol::topology::EVENTS;
use lockstep_protocol::topology::access::{INGRESS_MAX_LENGTH, Rights, Role, policies};

const README: &str = include_str!("../../docker/README.md");

/// Formats a pattern for a table cell; an unescaped `|` would end the cell.
fn cell(pattern: &str) -> String {
    format!("`{}`", pattern.replace('|', "\\|"))
}

fn topics(rights: &Rights) -> String {
    let topic = |topic: &lockstep_protocol::topology::access::TopicRights| {
        if topic.exchange == EVENTS {
            let publishable = |kind: &&Kind| {
                let name = kind.as_str().replace('.', "\\.");
                let listed = topic.write.trim_start_matches("^(").trim_end_matches(")$");
                listed.split('|').any(|one| one == name)
            };
            let count = Kind::ALL.iter().filter(publishable).count();
            format!("publish {count} types to `{EVENTS}`")
        } else {
            format!("bind {} at `{}`", cell(&topic.read), topic.exchange)
        }
    };
    let topics: Vec<String> = rights.topics.iter().map(topic).collect();
    if topics.is_empty() {
        "—".to_owned()
    } else {
        topics.join("; ")
    }
}

#[test]
fn the_tables_in_the_readme_equal_those_of_the_code() {
    let rights = Role::ALL.iter().map(|role| {
        let rights = role.rights("NAME");
        let topics = topics(&rights);
        let [configure, write, read] =
            [&rights.configure, &rights.write, &rights.read].map(|pattern| cell(pattern));
        let purpose = role.purpose();
        format!("| {role} | {purpose} | {configure} | {write} | {read} | {topics} |")
    });
    let policies = policies(INGRESS_MAX_LENGTH).into_iter().map(|policy| {
        let pattern = cell(&policy.pattern);
        let (length, bytes) = (policy.max_length, policy.max_length_bytes);
        format!("| `{}` | {pattern} | {length} | {bytes} |", policy.name)
    });
    let missing: Vec<String> = rights
        .chain(policies)
        .filter(|row| !README.contains(row))
        .collect();
    assert!(
        missing.is_empty(),
        "docker/README.md lacks\n{}",
        missing.join("\n")
    );
}
