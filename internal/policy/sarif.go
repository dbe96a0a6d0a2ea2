package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// The part of SARIF 2.1.0 that code scanners read
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string        `json:"id"`
		ShortDescription *sarifMessage `json:"shortDescription,omitempty"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string       `json:"level"`
		Message sarifMessage `json:"message"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifMessage       `json:"message"`
		Locations    []sarifLocation    `json:"locations,omitempty"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// SARIF is the findings as a SARIF 2.1.0 log. Failures are what could not be judged.
func SARIF(findings []Finding, failures []string, base string) ([]byte, error) {
	run := sarifRun{Results: []sarifResult{}, Invocations: []sarifInvocation{{Successful: len(failures) == 0}}}
	run.Tool.Driver.Name = "tagboat"
	for _, r := range Pack {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{r.Name, &sarifMessage{strings.ReplaceAll(r.Doc, "`", "")}})
	}
	for _, f := range failures {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{"error", sarifMessage{f}})
	}
	for _, f := range findings {
		index := slices.IndexFunc(run.Tool.Driver.Rules, func(r sarifRule) bool { return r.ID == f.Rule })
		if index < 0 {
			index = len(run.Tool.Driver.Rules)
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: f.Rule})
		}
		run.Results = append(run.Results, f.sarif(index, base))
	}
	return json.MarshalIndent(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}, "", "  ")
}

func (f Finding) sarif(index int, base string) sarifResult {
	result := sarifResult{RuleID: f.Rule, RuleIndex: index, Level: f.level(), Message: sarifMessage{f.told() + " (" + f.in() + ")"}}
	identity := sha256.Sum256([]byte(strings.Join([]string{f.Rule, f.Place.File, f.Object.String(), f.Path.String(), f.Message}, "\n")))
	result.Fingerprints = map[string]string{"tagboat/v1": hex.EncodeToString(identity[:16])}
	if f.Place.File != "" {
		at := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: below(base, f.Place.File)}).String(), "%SRCROOT%"}}}
		if f.Place.Line > 0 {
			at.Physical.Region = &sarifRegion{f.Place.Line}
		}
		if f.Object.Kind != "" {
			at.Logical = []sarifLogical{{f.Object.String() + " " + f.Path.String(), "object"}}
		}
		result.Locations = []sarifLocation{at}
	}
	if f.Waived != nil {
		result.Suppressions = []sarifSuppression{{"external", "accepted", f.Waived.Owner + ": " + f.Waived.Reason}}
	}
	return result
}
