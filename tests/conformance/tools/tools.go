//go:build tools

// Package tools names the programs of the conformance suites, so that go.mod pins them and what they need.
package tools

import (
	_ "github.com/summerwind/h2spec/cmd/h2spec"
	_ "github.com/summerwind/h2spec/cmd/h2specd"
)
