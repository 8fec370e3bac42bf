//! The query protocols of EC2, IAM and STS: which bundle file answers a call, and the AWS CLI's JSON turned back to XML.

use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::bundle::{Document, Files};
use super::wire::{Ask, Reply};

/// EC2 element names that do not follow `Subnets` → `subnetSet`, `VpcId` → `vpcId` (from botocore's service model).
const EC2_NAMES: &[(&str, &str)] = &[
    ("BlockDeviceMappings", "blockDeviceMapping"),
    ("CidrBlockAssociationSet", "cidrBlockAssociationSet"),
    ("DnsEntries", "dnsEntrySet"),
    ("Entries", "entrySet"),
    ("Instances", "instancesSet"),
    ("IpPermissions", "ipPermissions"),
    ("IpPermissionsEgress", "ipPermissionsEgress"),
    ("IpRanges", "ipRanges"),
    ("Ipv6Addresses", "ipv6AddressesSet"),
    ("Ipv6CidrBlockAssociationSet", "ipv6CidrBlockAssociationSet"),
    ("Ipv6Ranges", "ipv6Ranges"),
    ("NatGatewayAddresses", "natGatewayAddressSet"),
    ("PrefixListIds", "prefixListIds"),
    ("PrivateIpAddresses", "privateIpAddressesSet"),
    ("ProductCodes", "productCodes"),
    ("StateTransitionReason", "reason"),
    ("UserIdGroupPairs", "groups"),
];

/// A call of the query protocol.
#[derive(Debug, Clone)]
pub struct Call {
    /// `ec2`, `elbv2`, `iam` or `sts`.
    pub service: String,
    /// `DescribeSubnets`.
    pub action: String,
    fields: Vec<(String, String)>,
}

impl Call {
    /// The call in a form post; the service is in the credential scope of the signature.
    pub fn parse(ask: &Ask) -> Option<Self> {
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(&ask.body).into_owned().collect();
        let (_, action) = fields.iter().find(|(name, _)| name == "Action")?.clone();
        let scope = ask.header("authorization").and_then(|a| a.split_once("Credential="));
        let service = match scope.and_then(|(_, s)| s.split(['/', ',']).nth(3)).unwrap_or("ec2") {
            "elasticloadbalancing" => "elbv2",
            other => other,
        };
        Some(Self { service: service.to_owned(), action, fields })
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The bundle's name of the answer: `aws/iam/get-role.NAME`.
    pub fn file(&self) -> String {
        let mut operation = String::new();
        for (at, letter) in self.action.replace("OpenID", "OpenId").char_indices() {
            if letter.is_ascii_uppercase() && at > 0 {
                operation.push('-');
            }
            operation.push(letter.to_ascii_lowercase());
        }
        let provider =
            self.field("OpenIDConnectProviderArn").map(|a| a.split_once("oidc-provider/").map_or(a, |(_, u)| u));
        let keys = [
            self.field("RoleName"),
            self.field("PolicyName"),
            self.field("PolicyArn"),
            self.field("VersionId"),
            self.field("TargetGroupArn"),
            provider,
        ];
        let keys = keys.into_iter().flatten().map(|key| format!(".{}", key.replace(['/', '\\'], "_")));
        format!("aws/{}/{operation}{}", self.service, keys.collect::<String>())
    }

    /// The bundle's answer as XML. Filters are not applied: a bundle holds what kdoctor's own filters let through.
    pub fn recorded(&self, files: &Files) -> Option<Reply> {
        match files.document(&self.file())? {
            Document::Refused(value) => {
                let (code, message) = code_and_message(&value);
                Some(refusal(&self.service, status_of(&code), &code, &message))
            }
            Document::Answer(value) => {
                let mut body = String::new();
                let is_ec2 = self.service == "ec2";
                if is_ec2 {
                    ec2_fields(&mut body, &value, true)
                } else {
                    query_fields(&mut body, &value)
                }
                let (action, space) = (&self.action, namespace(&self.service));
                let body = match is_ec2 {
                    true => format!("<requestId>{REQUEST}</requestId>{body}"),
                    false => format!(
                        "<{action}Result>{body}</{action}Result><ResponseMetadata><RequestId>{REQUEST}</RequestId>\
                         </ResponseMetadata>"
                    ),
                };
                let xml = format!("{DECLARATION}<{action}Response xmlns=\"{space}\">{body}</{action}Response>");
                Some(Reply::new(200, "text/xml;charset=UTF-8", xml))
            }
        }
    }
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const REQUEST: &str = "7a62c49f-347e-4fc4-9331-6e8eEXAMPLE";

fn namespace(service: &str) -> &'static str {
    match service {
        "iam" => "https://iam.amazonaws.com/doc/2010-05-08/",
        "elbv2" => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
        "sts" => "https://sts.amazonaws.com/doc/2011-06-15/",
        _ => "http://ec2.amazonaws.com/doc/2016-11-15/",
    }
}

/// An error in the format of the service.
pub fn refusal(service: &str, status: u16, code: &str, message: &str) -> Reply {
    let (code, message, space) = (escape(code), escape(message), namespace(service));
    let xml = if service == "ec2" {
        format!(
            "{DECLARATION}<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
             <RequestID>{REQUEST}</RequestID></Response>"
        )
    } else {
        format!(
            "<ErrorResponse xmlns=\"{space}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>\
             </Error><RequestId>{REQUEST}</RequestId></ErrorResponse>"
        )
    };
    Reply::new(status, "text/xml;charset=UTF-8", xml)
}

/// What an `.error.json` says.
pub fn code_and_message(document: &Value) -> (String, String) {
    let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
    (text("code"), text("message"))
}

/// The HTTP status that comes with an error code.
pub fn status_of(code: &str) -> u16 {
    match code {
        "ResourceNotFoundException" | "NoSuchEntity" => 404,
        "AccessDeniedException"
        | "AccessDenied"
        | "UnauthorizedOperation"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "ExpiredTokenException" => 403,
        "AuthFailure" => 401,
        "ThrottlingException" => 429,
        "ServerException" | "InternalError" => 500,
        "RequestLimitExceeded" | "ServiceUnavailableException" => 503,
        _ => 400,
    }
}

/// The fields of an EC2 structure.
fn ec2_fields(out: &mut String, value: &Value, top: bool) {
    for (name, field) in value.as_object().into_iter().flatten() {
        let element = ec2_name(name, field, value, top);
        match field {
            Value::Null => {}
            Value::Array(items) => {
                let _ = write!(out, "<{element}>");
                for item in items {
                    out.push_str("<item>");
                    if item.is_object() {
                        ec2_fields(out, item, false)
                    } else {
                        out.push_str(&scalar(item))
                    }
                    out.push_str("</item>");
                }
                let _ = write!(out, "</{element}>");
            }
            Value::Object(_) => {
                let _ = write!(out, "<{element}>");
                ec2_fields(out, field, false);
                let _ = write!(out, "</{element}>");
            }
            other => {
                let _ = write!(out, "<{element}>{}</{element}>", scalar(other));
            }
        }
    }
}

fn ec2_name(name: &str, field: &Value, owner: &Value, top: bool) -> String {
    // The same field has another element name in these places.
    match name {
        "SecurityGroups" => return if top { "securityGroupInfo" } else { "groupSet" }.into(),
        "Description" if owner.get("IpPermissions").is_some() => return "groupDescription".into(),
        "IsDefault" if owner.get("NetworkAclId").is_some() => return "default".into(),
        "State" if field.is_object() => return "instanceState".into(),
        _ => {}
    }
    if let Some((_, element)) = EC2_NAMES.iter().find(|(n, _)| *n == name) {
        return (*element).into();
    }
    let mut letters = name.chars();
    let lower: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    if field.is_array() { format!("{}Set", lower.strip_suffix('s').unwrap_or(&lower)) } else { lower }
}

/// The fields of an IAM or STS structure: names as they are, lists of `member`, policy documents as text.
fn query_fields(out: &mut String, value: &Value) {
    for (name, field) in value.as_object().into_iter().flatten() {
        if field.is_null() {
            continue;
        }
        let _ = write!(out, "<{name}>");
        match field {
            Value::Array(items) => {
                for item in items {
                    out.push_str("<member>");
                    if item.is_object() {
                        query_fields(out, item)
                    } else {
                        out.push_str(&scalar(item))
                    }
                    out.push_str("</member>");
                }
            }
            // The CLI decodes policy documents; the API sends them percent-encoded.
            Value::Object(_) if name.ends_with("Document") || name == "Document" => {
                out.extend(utf8_percent_encode(&field.to_string(), NON_ALPHANUMERIC));
            }
            Value::Object(_) => query_fields(out, field),
            other => out.push_str(&scalar(other)),
        }
        let _ = write!(out, "</{name}>");
    }
}

/// Text of a leaf; a time is in UTC, as the API writes it.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() > 19 && text.as_bytes()[10] == b'T' => {
            text.parse::<jiff::Timestamp>().map_or_else(|_| escape(text), |time| time.to_string())
        }
        Value::String(text) => escape(text),
        other => other.to_string(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
