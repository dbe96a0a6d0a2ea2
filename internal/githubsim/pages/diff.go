package pages

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pmezard/go-difflib/difflib"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// fileDiff is one changed file.
type fileDiff struct {
	Path           string
	Note           string // "new file", "renamed from …"
	Added, Removed int
	Lines          []diffLine
}

// diffLine is one line of it; Old and New are its numbers, 0 where it is not.
type diffLine struct {
	Kind     string // add, del, hunk or empty
	Old, New int
	Text     string
}

var hunkHead = regexp.MustCompile(`^@@ -([0-9]+)(?:,[0-9]+)? \+([0-9]+)(?:,[0-9]+)? @@`)

// splitDiff reads git's unified diff.
func splitDiff(diff string) []fileDiff {
	var files []fileDiff
	for _, part := range strings.Split("\n"+diff, "\ndiff --git ")[1:] {
		files = append(files, readFileDiff(strings.Split(strings.TrimSuffix(part, "\n"), "\n")))
	}
	return files
}

func readFileDiff(lines []string) fileDiff {
	f := fileDiff{}
	// "a/X b/X": both halves are equal unless the file was renamed.
	if half := (len(lines[0]) - 1) / 2; half > 2 {
		f.Path = strings.TrimPrefix(lines[0][half+1:], "b/")
	}
	for i, line := range lines[1:] {
		switch {
		case strings.HasPrefix(line, "@@"):
			f.addHunks(lines[i+1:])
			return f
		case strings.HasPrefix(line, "new file"):
			f.Note = "new file"
		case strings.HasPrefix(line, "deleted file"):
			f.Note = "deleted"
		case strings.HasPrefix(line, "rename from "):
			f.Note = "renamed from " + strings.TrimPrefix(line, "rename from ")
		case strings.HasPrefix(line, "rename to "):
			f.Path = strings.TrimPrefix(line, "rename to ")
		case strings.HasPrefix(line, "Binary files"):
			f.Note = "binary"
		}
	}
	return f
}

func (f *fileDiff) addHunks(lines []string) {
	before, after := 0, 0
	for _, text := range lines {
		if m := hunkHead.FindStringSubmatch(text); m != nil {
			before, _ = strconv.Atoi(m[1])
			after, _ = strconv.Atoi(m[2])
			f.Lines = append(f.Lines, diffLine{Kind: "hunk", Text: text})
			continue
		}
		line := diffLine{Text: text}
		switch {
		case strings.HasPrefix(text, "+"):
			line.Kind, line.New = "add", after
			after++
			f.Added++
		case strings.HasPrefix(text, "-"):
			line.Kind, line.Old = "del", before
			before++
			f.Removed++
		case strings.HasPrefix(text, " "):
			line.Old, line.New = before, after
			before++
			after++
		}
		f.Lines = append(f.Lines, line)
	}
}

// difference compares all files of two commits; an empty base has none.
func (v *visit) difference(base, head string) ([]fileDiff, error) {
	before, err := v.snapshot(base)
	if err != nil {
		return nil, err
	}
	after, err := v.snapshot(head)
	if err != nil {
		return nil, err
	}
	var files []fileDiff
	for _, path := range pathsOf(before, after) {
		old, had := before[path]
		now, has := after[path]
		if had && has && old == now {
			continue
		}
		f := fileDiff{Path: path}
		if !had {
			f.Note = "new file"
		} else if !has {
			f.Note = "deleted"
		}
		patch, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{A: lines(old), B: lines(now), Context: 3})
		if err != nil {
			return nil, err
		}
		if patch != "" {
			f.addHunks(strings.Split(strings.TrimSuffix(patch, "\n"), "\n"))
		}
		files = append(files, f)
	}
	return files, nil
}

// snapshot is every file of a commit.
func (v *visit) snapshot(ref string) (map[string]string, error) {
	files := map[string]string{}
	if ref == "" {
		return files, nil
	}
	paths, err := v.github.Files(v.repo, ref)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		content, err := v.github.File(v.repo, ref, path)
		if err != nil {
			return nil, err
		}
		files[path] = string(content)
	}
	return files, nil
}

// pathsOf are the paths of both snapshots in order.
func pathsOf(before, after map[string]string) []string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	return slices.Sorted(maps.Keys(all))
}

// lines cuts a text into lines that all end.
func lines(s string) []string {
	if s == "" {
		return nil
	}
	return difflib.SplitLines(strings.TrimSuffix(s, "\n"))
}

// numbered is a whole file, line by line.
func numbered(content string) []diffLine {
	var all []diffLine
	for i, line := range lines(content) {
		all = append(all, diffLine{New: i + 1, Text: strings.TrimSuffix(line, "\n")})
	}
	return all
}

// firstParent is the parent that a commit is compared with, "" for the first.
func firstParent(c githubsim.Commit) string {
	if len(c.Parents) == 0 {
		return ""
	}
	return c.Parents[0]
}
