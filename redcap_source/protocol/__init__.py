"""REDCap's API as values and text: requests, answers, and which answer is an error. Pure: no network, file or clock."""
