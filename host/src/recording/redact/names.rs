//! Which names hide what they name.
//!
//! Names are compared without what separates their words, so that `access_key`, `accessKey`, `X-Access-Key` and `access key` are one.
//! The list errs on the safe side; what only tells about a secret (its type, when it expires) is left alone, for handlers read it.

/// Anywhere in a name.
const PARTS: [&str; 27] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "privatekey",
    "apikey",
    "accesskey",
    "encryptionkey",
    "signingkey",
    "sharedkey",
    "masterkey",
    "sshkey",
    "keyring",
    "keymaterial",
    "authorization",
    "authplugin",
    "cookie",
    "sessionid",
    "sessionkey",
    "userdata",
    "injectedfile",
    "personality",
    "adminpass",
    "rootpass",
];

/// At the end of a name.
const ENDS: [&str; 3] = ["pwd", "passwort", "accesskeys"];

/// Words of a name.
const WORDS: [&str; 7] = ["pass", "psk", "otp", "totp", "jwt", "passkey", "hmac"];

/// Words that follow each other in a name.
const PAIRS: [(&str, &str); 2] = [("auth", "key"), ("auth", "keys")];

/// Whole names.
const WHOLE: [&str; 3] = ["auth", "authkey", "pw"];

/// What begins like a part, and is another word.
const OTHERS: [&str; 2] = ["userdatabase", "secretar"];

/// Words at the end that tell about a secret.
const ABOUT: [&str; 7] = ["type", "types", "uuid", "uuids", "expires", "expiry", "expiration"];

/// Words after which a time comes: `token_expires_at`.
const TIMES: [&str; 4] = ["at", "in", "on", "after"];

/// Bytes at the end of a name that are looked at.
const MOST: usize = 128;

/// Names that hide what they name.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The operator's own, without separators.
    more: Vec<String>,
}

impl Names {
    /// Those that always do, and some more.
    #[must_use]
    pub fn new(more: &[String]) -> Self {
        Self { more: more.iter().map(|name| words(name).concat()).collect() }
    }

    /// Whether a value of this name is secret.
    #[must_use]
    pub fn hide(&self, name: &str) -> bool {
        let words = words(name);
        let mut whole = words.concat();
        if self.more.contains(&whole) {
            return true;
        }
        let last = words.last().map_or("", String::as_str);
        let before = words.iter().rev().nth(1).map_or("", String::as_str);
        if words.len() > 1 && (ABOUT.contains(&last) || (TIMES.contains(&last) && ABOUT.contains(&before))) {
            return false;
        }
        if WHOLE.contains(&whole.as_str()) {
            return true;
        }
        for other in OTHERS {
            whole = whole.replace(other, "_");
        }
        PARTS.iter().any(|part| whole.contains(part))
            || ENDS.iter().any(|end| whole.ends_with(end))
            || words.iter().any(|word| WORDS.contains(&word.as_str()))
            || words.windows(2).any(|two| matches!(two, [one, other] if PAIRS.contains(&(one, other))))
    }
}

/// The words of a name, in small letters: `X-accessKey` is `x`, `access`, `key`.
fn words(name: &str) -> Vec<String> {
    let mut from = name.len().saturating_sub(MOST);
    while !name.is_char_boundary(from) {
        from += 1;
    }
    let (mut words, mut was_small) = (vec![String::new()], false);
    for letter in name.get(from..).unwrap_or_default().chars() {
        let is_new = letter.is_uppercase() && was_small;
        was_small = letter.is_lowercase() || letter.is_ascii_digit();
        if is_new || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hide_what_they_name() {
        let names = Names::new(&["Serial-Number".to_owned()]);
        for name in "auth_token token X-Auth-Token password admin_password adminPass admin_pass root_pass old_passwd userPassword \
             client_secret Authorization Set-Cookie ssh_private_key apiKey credentials user_data injected_files serial_number \
             serialNumber accessKey AccessKey secretAccessKey userData encryptionKey auth_key authKey keyring ssh_key \
             sshKeys signing_key passcode otp user_otp jwt session_id sessionId rootPass ADMIN_PASSWORD OS_PASSWORD \
             key_material wpa_psk psk pwd auth token_id accesskey.x[password] tokens_by_name pass_ pw expires_token"
            .split_whitespace()
            .chain(["api key", "access key", "Private Key", "user data"])
        {
            assert!(names.hide(name), "{name}");
        }
    }

    #[test]
    fn common_names_stay_harmless_without_their_separators() {
        let names = Names::new(&["Serial-Number".to_owned()]);
        for name in "name host user_id project_id compass passive key_name author instance bypass token_type tokenType \
             keypair_name key_pair keypairs session sessions session_count token_expires_at tokenExpiresAt password_expires_at \
             token_expiry secret_uuid secretUuid secret_type credential_type laptop footprint hotplug option auth_url \
             author_key authors user_database secretary path passthrough pci_passthrough monkey key keys value metadata \
             access_mode access_ip_v4 api_version encryption ssh signing is_public user username data_user private \
             injected_network_info serial"
            .split_whitespace()
        {
            assert!(!names.hide(name), "{name}");
        }
    }
}
