/* What wine does otherwise than Windows, where a test or this project's code had to be written for
 * it: each fault by itself, in C. One line each: the name, "differs" or "as Windows", and what was
 * seen. `scripts/windows.sh faults` builds and runs it with a file of Linux's as standard input and
 * a pipe of Linux's as standard output.
 */
#include <winsock2.h>
#include <windows.h>
#include <winternl.h>
#include <stdio.h>

static void tell(const char *name, int differs, const char *what, unsigned long seen) {
    fprintf(stderr, "%-28s %-10s %s: %lu\n", name, differs ? "differs" : "as Windows", what, seen);
}

/* Windows tells it of every file. */
static void information_of_inherited_file(void) {
    BY_HANDLE_FILE_INFORMATION found;
    BOOL done = GetFileInformationByHandle(GetStdHandle(STD_INPUT_HANDLE), &found);
    tell("inherited_file", !done, "GetFileInformationByHandle, error", done ? 0 : GetLastError());
}

/* Windows tells it of every pipe. */
static void information_of_inherited_pipe(void) {
    BOOL done = GetNamedPipeInfo(GetStdHandle(STD_OUTPUT_HANDLE), NULL, NULL, NULL, NULL);
    tell("inherited_pipe", !done, "GetNamedPipeInfo, error", done ? 0 : GetLastError());
}

/* Windows needs a privilege for it, or its developer mode: error 1314, or none. */
static void symbolic_link(void) {
    WCHAR folder[MAX_PATH], link[MAX_PATH];
    GetTempPathW(MAX_PATH, folder);
    GetTempFileNameW(folder, L"l", 0, link);
    DeleteFileW(link);
    BOOLEAN done = CreateSymbolicLinkW(link, L"target", 2);
    DWORD error = done ? 0 : GetLastError();
    BOOL is_link = GetFileAttributesW(link) != INVALID_FILE_ATTRIBUTES;
    tell("symbolic_link", error != 1314 && !is_link, "CreateSymbolicLinkW, error", error);
    DeleteFileW(link);
}

/* Windows says how much an empty pipe takes. */
static void room_of_a_pipe(void) {
    typedef struct {
        ULONG type, configuration, most, instances, in_quota, readable, out_quota, room, state, end;
    } LOCAL;
    HANDLE from, to;
    IO_STATUS_BLOCK status;
    LOCAL found = {0};
    CreatePipe(&from, &to, NULL, 4096);
    NtQueryInformationFile(to, &status, &found, sizeof found, (FILE_INFORMATION_CLASS)24);
    tell("room_of_a_pipe", found.room == 0, "WriteQuotaAvailable", found.room);
}

/* Windows has them since 2018. */
static void unix_sockets(void) {
    SOCKET made = socket(AF_UNIX, SOCK_STREAM, 0);
    int error = made == INVALID_SOCKET ? WSAGetLastError() : 0;
    tell("unix_sockets", error != 0, "socket(AF_UNIX), error", error);
}

/* Windows maps code to be copied where it is written, and takes the right to run it away. */
static void mapping_of_code(void) {
    WCHAR folder[MAX_PATH], path[MAX_PATH];
    static char page[8192];
    DWORD count, old;
    GetTempPathW(MAX_PATH, folder);
    GetTempFileNameW(folder, L"m", 0, path);
    HANDLE file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    WriteFile(file, page, sizeof page, &count, NULL);
    CloseHandle(file);
    file = CreateFileW(path, GENERIC_READ | GENERIC_EXECUTE, 0, NULL, OPEN_EXISTING,
                       FILE_FLAG_DELETE_ON_CLOSE, NULL);
    HANDLE mapping = CreateFileMappingW(file, NULL, PAGE_EXECUTE_WRITECOPY, 0, 0, NULL);
    void *view = MapViewOfFile(mapping, FILE_MAP_READ | FILE_MAP_EXECUTE | FILE_MAP_COPY, 0, 0,
                               sizeof page);
    BOOL done = VirtualProtect(view, sizeof page, PAGE_WRITECOPY, &old);
    tell("mapping_of_code", !done, "VirtualProtect(PAGE_WRITECOPY), error",
         done ? 0 : GetLastError());
    UnmapViewOfFile(view);
    CloseHandle(mapping);
    CloseHandle(file);
}

static WCHAR log_path[MAX_PATH];

static DWORD WINAPI append_records(void *unused) {
    HANDLE log = CreateFileW(log_path, GENERIC_READ | GENERIC_WRITE,
                             FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
    for (int n = 0; n < 2000; n++) {
        OVERLAPPED end = {0};
        DWORD count;
        end.Offset = end.OffsetHigh = 0xffffffff;
        WriteFile(log, "0123456789abcdef", 16, &count, &end);
    }
    CloseHandle(log);
    (void)unused;
    return 0;
}

/* Windows finds the end and writes there in one step. */
static void appends_of_two_handles(void) {
    WCHAR folder[MAX_PATH];
    HANDLE threads[4];
    LARGE_INTEGER size;
    GetTempPathW(MAX_PATH, folder);
    GetTempFileNameW(folder, L"a", 0, log_path);
    for (int i = 0; i < 4; i++) threads[i] = CreateThread(NULL, 0, append_records, NULL, 0, NULL);
    WaitForMultipleObjects(4, threads, TRUE, INFINITE);
    HANDLE log = CreateFileW(log_path, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    GetFileSizeEx(log, &size);
    CloseHandle(log);
    DeleteFileW(log_path);
    unsigned long lost = 8000 - (unsigned long)(size.QuadPart / 16);
    tell("appends_of_two_handles", lost != 0, "records lost of 8,000", lost);
}

int main(void) {
    WSADATA data;
    WSAStartup(0x0202, &data);
    information_of_inherited_file();
    information_of_inherited_pipe();
    symbolic_link();
    room_of_a_pipe();
    unix_sockets();
    mapping_of_code();
    appends_of_two_handles();
    return 0;
}
