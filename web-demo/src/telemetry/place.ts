/** Where a page may send reports to, and the digest of the bundle that it is of, where that is known. */
export interface ReportsPlace {
  url: string;
  bundle: string | null;
}

/** What `edgeship demo --reports` wrote into this page; null where nothing is ever counted. */
export function embeddedReports(): ReportsPlace | null {
  return JSON.parse(document.getElementById('reports-place')?.textContent ?? 'null') as ReportsPlace | null;
}
