// What an app has in hand as texts: the row of a table, or one text.

func readText(_ column: Column, _ text: String) throws -> Float {
  if let missing = column.missing, text.isEmpty { return missing }
  if column.values.isEmpty {
    guard let number = Double(text) else { throw ClientError(description: "'\(text)' is no number") }
    return Float(number)
  }
  let place = column.values.firstIndex(of: text) ?? column.unknown
  try ensure(place >= 0, "'\(text)' is none of a column's values")
  return Float(place)
}

/// The ids of a text's first words: 1 + FNV-1a % buckets of runs of ASCII letters, digits and bytes beyond ASCII; then zeros.
func readWords(_ input: Input, _ text: String) -> [Float] {
  var ids = [Float](repeating: 0, count: input.edge.size)
  var (words, hash, inside) = (0, UInt32(0), false)
  for sign in text.utf8 {
    let byte = (65...90).contains(sign) ? sign + 32 : sign
    let part = byte >= 128 || (97...122).contains(byte) || (48...57).contains(byte)
    if part && !inside {
      words += 1
      if words > ids.count { break }
    }
    if part {
      hash = ((inside ? hash : 2_166_136_261) ^ UInt32(byte)) &* 16_777_619
      ids[words - 1] = Float(1 + hash % UInt32(input.buckets))
    }
    inside = part
  }
  return ids
}
