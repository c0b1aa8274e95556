//! What is remembered from one start to the next, as the JSON that the record keeps for the app.

use serde::{Deserialize, Serialize};

use super::Shared;
use crate::theme::Palette;

/// What is remembered. Unknown keys of another version are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastScreen {
    /// Id of the lesson opened last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// `dark`, `light` or `plain`, if the learner chose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    theme: Option<String>,
}

impl LastScreen {
    /// From the record; nothing if there is nothing that can be read.
    pub fn read(shared: &Shared) -> Self {
        let json = shared.summary.last_screen.as_deref().unwrap_or("{}");
        serde_json::from_str(json).unwrap_or_default()
    }

    /// The JSON to keep.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".into())
    }

    /// Remembers a lesson.
    pub fn set_lesson(&mut self, id: &str) {
        self.lesson = Some(id.to_string());
    }

    /// Remembers a palette.
    pub fn set_palette(&mut self, palette: Palette) {
        let name = match palette {
            Palette::Dark => "dark",
            Palette::Light => "light",
            Palette::Monochrome => "plain",
        };
        self.theme = Some(name.to_string());
    }

    /// The palette chosen, if one was.
    pub fn palette(&self) -> Option<Palette> {
        match self.theme.as_deref()? {
            "dark" => Some(Palette::Dark),
            "light" => Some(Palette::Light),
            "plain" => Some(Palette::Monochrome),
            _ => None,
        }
    }
}
